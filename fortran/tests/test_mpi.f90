! test_mpi - tasks that wait for MPI requests: suspended, bound, and as events; handles of mpi_f08 and integers.
module tasks_of_this_test
   use, intrinsic :: iso_c_binding
   use mpi_f08
   use parla
   use parla_mpi
   implicit none

   integer, parameter :: n_laps = 20
   type(parla_mpi_join) :: join
   integer :: received(n_laps) = -1
   integer, target :: outbox(n_laps), inbox(n_laps)

   ! Sends a number to the right, receives the left one's, and is called again when it is there.
   type, extends(parla_work) :: lap
      integer :: number
      logical :: has_received = .false.
   contains
      procedure :: run => run_lap
   end type

contains

   subroutine run_lap(self, context)
      class(lap), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      type(MPI_Request) :: requests(1), sent(1)
      integer :: n, rank
      n = parla_mpi_n_ranks(join)
      rank = parla_mpi_rank(join)
      if (self%has_received) then
         received(self%number) = inbox(self%number)
         return
      end if
      self%has_received = .true.
      outbox(self%number) = 100*self%number + rank
      call MPI_Isend(outbox(self%number), 1, MPI_INTEGER, modulo(rank + 1, n), self%number, parla_mpi_comm(join), sent(1))
      call parla_mpi_bind(join, context, sent)
      call MPI_Irecv(inbox(self%number), 1, MPI_INTEGER, modulo(rank - 1, n), self%number, parla_mpi_comm(join), requests(1))
      call parla_mpi_suspend_on(join, context, requests)
      if (requests(1) /= MPI_REQUEST_NULL) call parla_fail(context, 'the request was not taken')
   end subroutine
end module

program test_mpi
   use check_module
   use tasks_of_this_test
   implicit none
   type(parla_runtime) :: rt
   integer :: n_cores, i, code, rank, n
   character(400) :: words

   call parla_mpi_start()
   call parla_mpi_share(MPI_COMM_WORLD, n_cores)
   call check(n_cores >= 1, 'a rank has cores')
   call parla_runtime_create(rt, workers=2)
   call parla_mpi_init(join, rt, MPI_COMM_WORLD, on_failure='explode', stat=code, errmsg=words)
   call check(code == PARLA_E_INVALID, 'an unknown on_failure: '//trim(words))
   call parla_mpi_init(join, rt, MPI_COMM_WORLD%mpi_val)
   rank = parla_mpi_rank(join)
   n = parla_mpi_n_ranks(join)
   do i = 1, n_laps
      call parla_spawn(rt, lap(i), name='lap')
   end do
   call parla_runtime_wait(rt)
   call check(all(received == [(100*i + modulo(rank - 1, n), i=1, n_laps)]), 'every lap has its number')
   call with_integers()
   call parla_mpi_fini(join)
   call parla_runtime_destroy(rt)
   call finish()

contains

   subroutine with_integers()
      type(parla_task) :: event
      integer, target :: sent(3), got(3)
      integer :: requests(2)
      type(MPI_Request) :: send_request, receive_request
      sent = [rank, 2*rank, 3*rank]
      got = -1
      call MPI_Isend(sent, 3, MPI_INTEGER, modulo(rank + 1, n), 999, parla_mpi_comm(join), send_request)
      call MPI_Irecv(got, 3, MPI_INTEGER, modulo(rank - 1, n), 999, parla_mpi_comm(join), receive_request)
      requests = [send_request%mpi_val, receive_request%mpi_val]
      call parla_mpi_event(join, event, requests)
      call check(all(requests == MPI_REQUEST_NULL%mpi_val), 'the requests are taken')
      call parla_wait(rt, event)
      call check(all(got == modulo(rank - 1, n)*[1, 2, 3]), 'an event')
   end subroutine
end program
