! heat - the heat equation on a plate, explicit steps, columns dealt out to MPI ranks; tasks wait for messages without a thread.
!
!    mpirun -n 4 ./example_heat
!
! Each rank's columns are cut into strips. A step of a strip is a task behind the same and the neighbouring strips' last step; the
! two outer strips also come after the exchange of that step, a task that sends the outer columns and suspends until the messages
! are through. So inner strips compute while messages travel. The result is compared with that of plain loops, bit for bit.
module heat_tasks
   use, intrinsic :: iso_fortran_env, only: real64
   use mpi_f08
   use parla
   use parla_mpi
   implicit none

   integer, parameter :: n_rows = 200, n_strips = 4, strip_width = 25, n_columns = n_strips*strip_width, n_steps = 60
   type(parla_mpi_join) :: join
   ! Two time levels of this rank's columns, with one more on each side.
   real(real64), target :: plate(0:n_rows + 1, 0:n_columns + 1, 0:1) = 0

   ! Computes one step of columns first … last, from level old into the other one.
   type, extends(parla_work) :: strip_step
      integer :: first, last, old
   contains
      procedure :: run => run_strip_step
   end type

   ! Exchanges the outer columns of level old with the neighbours; called again when that is done.
   type, extends(parla_work) :: exchange
      integer :: old, step
      logical :: has_begun = .false.
   contains
      procedure :: run => run_exchange
   end type

contains

   subroutine run_strip_step(self, context)
      class(strip_step), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      if (parla_is_cancelled(context)) return
      call advance(plate(:, self%first - 1:self%last + 1, self%old), plate(:, self%first - 1:self%last + 1, 1 - self%old))
   end subroutine

   subroutine advance(from, to)
      real(real64), intent(in) :: from(0:, 0:)
      real(real64), intent(inout) :: to(0:, 0:)
      integer :: i, j
      do j = 1, ubound(from, 2) - 1
         do i = 1, ubound(from, 1) - 1
            to(i, j) = from(i, j) + 0.2d0*(from(i - 1, j) + from(i + 1, j) + from(i, j - 1) + from(i, j + 1) - 4*from(i, j))
         end do
      end do
   end subroutine

   subroutine run_exchange(self, context)
      class(exchange), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      type(MPI_Request) :: requests(4)
      integer :: left, right
      if (self%has_begun) return
      self%has_begun = .true.
      left = neighbour(-1)
      right = neighbour(1)
      call receive(plate(:, 0, self%old), left, 2*self%step, requests(1))
      call receive(plate(:, n_columns + 1, self%old), right, 2*self%step + 1, requests(2))
      call send(plate(:, n_columns, self%old), right, 2*self%step, requests(3))
      call send(plate(:, 1, self%old), left, 2*self%step + 1, requests(4))
      call parla_mpi_suspend_on(join, context, requests)
   end subroutine

   subroutine receive(column, rank, tag, request)
      real(real64), intent(inout), asynchronous, contiguous :: column(:)
      integer, intent(in) :: rank, tag
      type(MPI_Request), intent(out) :: request
      call MPI_Irecv(column, size(column), MPI_DOUBLE_PRECISION, rank, tag, parla_mpi_comm(join), request)
   end subroutine

   subroutine send(column, rank, tag, request)
      real(real64), intent(in), asynchronous, contiguous :: column(:)
      integer, intent(in) :: rank, tag
      type(MPI_Request), intent(out) :: request
      call MPI_Isend(column, size(column), MPI_DOUBLE_PRECISION, rank, tag, parla_mpi_comm(join), request)
   end subroutine

   integer function neighbour(offset)
      integer, intent(in) :: offset
      neighbour = parla_mpi_rank(join) + offset
      if (neighbour < 0 .or. neighbour >= parla_mpi_n_ranks(join)) neighbour = MPI_PROC_NULL
   end function
end module

program heat
   use heat_tasks
   implicit none
   type(parla_runtime) :: rt
   type(parla_task) :: before(0:n_strips + 1), now(0:n_strips + 1), exchanged ! 0 and n_strips + 1 stay "no task"
   integer :: step, i, n_cores, rank, old
   real(real64), allocatable :: serial(:, :, :)

   call parla_mpi_start()
   call parla_mpi_share(MPI_COMM_WORLD, n_cores)
   call parla_runtime_create(rt, workers=n_cores)
   call parla_mpi_init(join, rt, MPI_COMM_WORLD)
   rank = parla_mpi_rank(join)
   allocate (serial(0:n_rows + 1, 0:parla_mpi_n_ranks(join)*n_columns + 1, 0:1), source=0d0)
   serial(0, :, :) = 100
   plate(0, :, :) = 100

   do step = 1, n_steps
      old = modulo(step - 1, 2)
      call parla_spawn(rt, exchange(old, step), task=exchanged, after=[before(1), before(n_strips)], name='exchange', priority=1)
      do i = 1, n_strips
         call parla_spawn(rt, strip_step((i - 1)*strip_width + 1, i*strip_width, old), task=now(i), name='strip', &
                          after=pack([before(i - 1:i + 1), exchanged], [.true., .true., .true., i == 1 .or. i == n_strips]))
      end do
      before = now
      call advance(serial(:, :, old), serial(:, :, 1 - old))
   end do
   call parla_runtime_wait(rt)
   old = modulo(n_steps, 2)
   associate (difference => abs(plate(1:n_rows, 1:n_columns, old) - serial(1:n_rows, rank*n_columns + 1:(rank + 1)*n_columns, old)))
      write (*, '(a, i0, a, i0, a, es8.1)') 'rank ', rank, ': ', n_steps, ' steps, largest difference from plain loops', &
         maxval(difference)
      if (any(difference > 0)) error stop 1
   end associate
   call parla_mpi_fini(join)
   call parla_runtime_destroy(rt)
end program
