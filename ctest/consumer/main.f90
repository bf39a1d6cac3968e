! A user's program in Fortran: two tasks, one behind the other, and a message of this rank to itself.
module consumer_tasks
   use mpi_f08
   use parla
   use parla_mpi
   implicit none
   type(parla_mpi_join) :: join
   integer, asynchronous, save :: sent = 42, received = 0

   type, extends(parla_work) :: message
      logical :: has_begun = .false.
   contains
      procedure :: run => run_message
   end type

contains

   subroutine run_message(self, context)
      class(message), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      type(MPI_Request) :: requests(2)
      if (self%has_begun) return
      self%has_begun = .true.
      call MPI_Irecv(received, 1, MPI_INTEGER, parla_mpi_rank(join), 0, parla_mpi_comm(join), requests(1))
      call MPI_Isend(sent, 1, MPI_INTEGER, parla_mpi_rank(join), 0, parla_mpi_comm(join), requests(2))
      call parla_mpi_suspend_on(join, context, requests)
   end subroutine

   subroutine print_it(context)
      type(parla_context), intent(inout) :: context
      if (received /= sent) call parla_fail(context, 'the message is not there')
      print '(a, i0)', 'consumer in Fortran: ', received
   end subroutine
end module

program consumer
   use consumer_tasks
   implicit none
   type(parla_runtime) :: rt
   type(parla_task) :: first
   call parla_mpi_start()
   call parla_runtime_create(rt)
   call parla_mpi_init(join, rt, MPI_COMM_WORLD)
   call parla_spawn(rt, message(), task=first)
   call parla_spawn(rt, print_it, after=[first])
   call parla_runtime_wait(rt)
   call parla_mpi_fini(join)
   call parla_runtime_destroy(rt)
end program
