! heat_1 - the loop of OpenMP becomes tasks; everything else stays. Each step ends with a wait, as the parallel loop did.
module heat_1_tasks
   use heat_plate
   use parla
   implicit none

   type, extends(parla_work) :: block_step
      integer :: old, first
   contains
      procedure :: run => run_block
   end type

contains

   subroutine run_block(self, context)
      class(block_step), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      if (parla_is_cancelled(context)) return
      call advance(plate(:, :, self%old), plate(:, :, 1 - self%old), self%first, self%first + block - 1)
   end subroutine

   subroutine exchange(level)
      real(real64), intent(inout) :: level(0:, 0:)
      integer :: n
      n = size(level, 1)
      call MPI_Sendrecv(level(:, 1), n, MPI_DOUBLE_PRECISION, left, 0, level(:, n_columns + 1), n, MPI_DOUBLE_PRECISION, right, 0, &
                        MPI_COMM_WORLD, MPI_STATUS_IGNORE)
      call MPI_Sendrecv(level(:, n_columns), n, MPI_DOUBLE_PRECISION, right, 1, level(:, 0), n, MPI_DOUBLE_PRECISION, left, 1, &
                        MPI_COMM_WORLD, MPI_STATUS_IGNORE)
   end subroutine
end module

program heat_1
   use heat_1_tasks
   use parla_mpi
   implicit none
   type(parla_runtime) :: rt
   integer :: n_cores, step, old, first
   call parla_mpi_start()
   call parla_mpi_share(MPI_COMM_WORLD, n_cores) ! which cores of the node are this rank's
   call parla_runtime_create(rt, workers=n_cores)
   call start_plate()
   do step = 0, n_steps - 1
      old = modulo(step, 2)
      call exchange(plate(:, :, old))
      do first = 1, n_columns, block
         call parla_spawn(rt, block_step(old, first), name='block')
      end do
      call parla_runtime_wait(rt)
   end do
   call parla_runtime_destroy(rt)
   call check_plate('heat_1')
end program
