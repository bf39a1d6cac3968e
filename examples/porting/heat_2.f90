! heat_2 - no step waits for the one before: a block waits for the blocks that it reads, the outer ones also for the neighbours' columns,
! which a task exchanges. That task starts its messages and returns; it ends when they have arrived, and no thread waits for them.
module heat_2_tasks
   use heat_plate
   use parla
   use parla_mpi
   implicit none
   type(parla_mpi_join) :: join

   type, extends(parla_work) :: block_step
      integer :: old, first
   contains
      procedure :: run => run_block
   end type

   ! Messages of different steps may be under way at once, so each has its own tag.
   type, extends(parla_work) :: exchange
      integer :: old, step
   contains
      procedure :: run => run_exchange
   end type

contains

   subroutine run_block(self, context)
      class(block_step), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      if (parla_is_cancelled(context)) return
      call advance(plate(:, :, self%old), plate(:, :, 1 - self%old), self%first, self%first + block - 1)
   end subroutine

   subroutine run_exchange(self, context)
      class(exchange), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      type(MPI_Request) :: requests(4)
      call receive(plate(:, n_columns + 1, self%old), right, 2*self%step, requests(1))
      call receive(plate(:, 0, self%old), left, 2*self%step + 1, requests(2))
      call send(plate(:, 1, self%old), left, 2*self%step, requests(3))
      call send(plate(:, n_columns, self%old), right, 2*self%step + 1, requests(4))
      call parla_mpi_bind(join, context, requests)
   end subroutine

   subroutine receive(column, from, tag, request)
      real(real64), intent(inout), asynchronous, contiguous :: column(:)
      integer, intent(in) :: from, tag
      type(MPI_Request), intent(out) :: request
      call MPI_Irecv(column, size(column), MPI_DOUBLE_PRECISION, from, tag, parla_mpi_comm(join), request)
   end subroutine

   subroutine send(column, to, tag, request)
      real(real64), intent(in), asynchronous, contiguous :: column(:)
      integer, intent(in) :: to, tag
      type(MPI_Request), intent(out) :: request
      call MPI_Isend(column, size(column), MPI_DOUBLE_PRECISION, to, tag, parla_mpi_comm(join), request)
   end subroutine
end module

program heat_2
   use heat_2_tasks
   implicit none
   type(parla_runtime) :: rt
   type(parla_task) :: before(0:n_blocks + 1), now(0:n_blocks + 1), exchanged ! the first and the last stay "no task"
   integer :: n_cores, step, old, i
   call parla_mpi_start()
   call parla_mpi_share(MPI_COMM_WORLD, n_cores)
   call parla_runtime_create(rt, workers=n_cores)
   call parla_mpi_init(join, rt, MPI_COMM_WORLD)
   call start_plate()
   do step = 0, n_steps - 1
      old = modulo(step, 2)
      call parla_spawn(rt, exchange(old, step), task=exchanged, after=[before(1), before(n_blocks)], name='exchange', priority=1)
      do i = 1, n_blocks
         call parla_spawn(rt, block_step(old, 1 + (i - 1)*block), task=now(i), name='block', &
                          after=pack([before(i - 1:i + 1), exchanged], [.true., .true., .true., i == 1 .or. i == n_blocks]))
      end do
      before = now
   end do
   call parla_runtime_wait(rt)
   call parla_mpi_fini(join)
   call parla_runtime_destroy(rt)
   call check_plate('heat_2')
end program
