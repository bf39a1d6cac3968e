! heat_0 - where the port begins: MPI between ranks, OpenMP inside of one.
program heat_0
   use heat_plate
   implicit none
   integer :: provided, step, old, first
   call MPI_Init_thread(MPI_THREAD_FUNNELED, provided)
   call start_plate()
   do step = 0, n_steps - 1
      old = modulo(step, 2)
      call exchange(plate(:, :, old))
      !$omp parallel do schedule(static)
      do first = 1, n_columns, block
         call advance(plate(:, :, old), plate(:, :, 1 - old), first, first + block - 1)
      end do
   end do
   call check_plate('heat_0')
   call MPI_Finalize()

contains

   subroutine exchange(level)
      real(real64), intent(inout) :: level(0:, 0:)
      integer :: n
      n = size(level, 1)
      call MPI_Sendrecv(level(:, 1), n, MPI_DOUBLE_PRECISION, left, 0, level(:, n_columns + 1), n, MPI_DOUBLE_PRECISION, right, 0, &
                        MPI_COMM_WORLD, MPI_STATUS_IGNORE)
      call MPI_Sendrecv(level(:, n_columns), n, MPI_DOUBLE_PRECISION, right, 1, level(:, 0), n, MPI_DOUBLE_PRECISION, left, 1, &
                        MPI_COMM_WORLD, MPI_STATUS_IGNORE)
   end subroutine
end program
