! heat_plate - what the steps of docs/porting.md share: the plate of a rank, the stencil, and the check at the end.
!
! A plate is warmed along its left edge. Ranks have columns of it, one beside the other; around a rank's own columns lie one column of
! each neighbour and one row of the edge. There are two levels of time, and each step computes one from the other.
module heat_plate
   use, intrinsic :: iso_fortran_env, only: real64
   use mpi_f08
   implicit none

   integer, parameter :: n_columns = 64, n_rows = 96, n_steps = 60, block = 8, n_blocks = n_columns/block ! columns of each rank
   real(real64), target :: plate(0:n_rows + 1, 0:n_columns + 1, 0:1) = 0
   integer :: rank, n_ranks, left, right

contains

   ! Computes columns first … last of the next level. from and to are whole levels.
   subroutine advance(from, to, first, last)
      real(real64), intent(in) :: from(0:, 0:)
      real(real64), intent(inout) :: to(0:, 0:)
      integer, intent(in) :: first, last
      integer :: i, j
      do j = first, last
         do i = 1, n_rows
            to(i, j) = from(i, j) + 0.2d0*(from(i, j - 1) + from(i, j + 1) + from(i - 1, j) + from(i + 1, j) - 4*from(i, j))
         end do
      end do
   end subroutine

   subroutine start_plate()
      call MPI_Comm_rank(MPI_COMM_WORLD, rank)
      call MPI_Comm_size(MPI_COMM_WORLD, n_ranks)
      left = merge(rank - 1, MPI_PROC_NULL, rank > 0)
      right = merge(rank + 1, MPI_PROC_NULL, rank < n_ranks - 1)
      if (rank == 0) plate(:, 0, :) = 100
   end subroutine

   ! Computes all of it again with plain loops; prints a line on rank 0, and ends the program where an element differs.
   subroutine check_plate(program)
      character(*), intent(in) :: program
      real(real64), allocatable :: plain(:, :, :)
      real(real64) :: heat, all_heat
      integer :: step, n_wrong, n_all_wrong
      allocate (plain(0:n_rows + 1, 0:n_ranks*n_columns + 1, 0:1), source=0d0)
      plain(:, 0, :) = 100
      do step = 0, n_steps - 1
         call advance(plain(:, :, modulo(step, 2)), plain(:, :, modulo(step + 1, 2)), 1, n_ranks*n_columns)
      end do
      associate (mine => plate(1:n_rows, 1:n_columns, modulo(n_steps, 2)), &
                 there => plain(1:n_rows, rank*n_columns + 1:(rank + 1)*n_columns, modulo(n_steps, 2)))
         n_wrong = count(mine /= there)
         heat = sum(mine)
      end associate
      call MPI_Reduce(heat, all_heat, 1, MPI_DOUBLE_PRECISION, MPI_SUM, 0, MPI_COMM_WORLD)
      call MPI_Allreduce(n_wrong, n_all_wrong, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
      if (rank == 0) write (*, '(2a, 2(i0, a), es12.6, a, i0, a)') program, ': ', n_ranks, ' ranks, ', n_steps, ' steps, heat ', &
         all_heat, ', ', n_all_wrong, ' elements differ from plain loops'
      if (n_all_wrong /= 0) error stop 1
   end subroutine
end module
