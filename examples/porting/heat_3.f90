! heat_3 - the levels become arrays. A task says which columns it reads and overwrites: that orders the tasks as the program spawns them,
! and moves columns to where tasks run, here two simulated GPUs. On real ones the body launches a kernel (examples/cuda/axpy.cu).
module heat_3_tasks
   use heat_plate
   use parla
   use parla_mpi
   implicit none
   type(parla_mpi_join) :: join
   type(parla_array) :: levels(0:1)

   type, extends(parla_work) :: block_step
      integer :: first
   contains
      procedure :: run => run_block
   end type

   type, extends(parla_work) :: exchange
      integer :: old, step
   contains
      procedure :: run => run_exchange
   end type

contains

   ! Columns first … last of a level, with `edge` more elements at both ends of each. Spans count from 1.
   function columns(first, last, edge) result(region)
      integer, intent(in) :: first, last, edge
      type(parla_span) :: region(2)
      region = [parla_span(2 - edge, n_rows + 1 + edge), parla_span(first + 1, last + 1)]
   end function

   ! Uses: what it reads, what it overwrites, each where the task runs.
   subroutine run_block(self, context)
      class(block_step), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(real64), pointer :: from(:, :), to(:, :)
      call parla_view(context, 1, from)
      call parla_view(context, 2, to)
      if (.not. parla_failed(context)) call advance(from, to, self%first, self%first + block - 1)
   end subroutine

   ! On the host, where the arrays are the plate itself.
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

program heat_3
   use heat_3_tasks
   implicit none
   type(parla_runtime) :: rt
   integer :: n_cores, step, old, first
   call parla_mpi_start()
   call parla_mpi_share(MPI_COMM_WORLD, n_cores)
   call parla_runtime_create(rt, devices='sim:2', workers=n_cores)
   call parla_mpi_init(join, rt, MPI_COMM_WORLD)
   call start_plate()
   call parla_array_create(levels(0), plate(:, :, 0), name='level 0')
   call parla_array_create(levels(1), plate(:, :, 1), name='level 1')
   do step = 0, n_steps - 1
      old = modulo(step, 2)
      ! the columns of neighbours are updated, not overwritten: those at the plate's own edges stay as they are
      call parla_spawn(rt, exchange(old, step), name='exchange', priority=1, &
                       uses=[parla_inout(levels(old), columns(0, 0, 1)), parla_in(levels(old), columns(1, 1, 1)), &
                             parla_in(levels(old), columns(n_columns, n_columns, 1)), &
                             parla_inout(levels(old), columns(n_columns + 1, n_columns + 1, 1))])
      do first = 1, n_columns, block
         call parla_spawn(rt, block_step(first), on=[parla_gpu()], name='block', &
                          uses=[parla_in(levels(old), columns(first - 1, first + block, 1)), &
                                parla_out(levels(1 - old), columns(first, first + block - 1, 0))])
      end do
   end do
   call parla_runtime_wait(rt)
   call parla_sync(rt, levels(modulo(n_steps, 2))) ! brings it to the host
   call parla_mpi_fini(join)
   call parla_array_destroy(levels(0))
   call parla_array_destroy(levels(1))
   call parla_runtime_destroy(rt)
   call check_plate('heat_3')
end program
