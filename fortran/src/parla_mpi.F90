! parla_mpi - MPI requests as something that tasks wait for, for Fortran 2018: what parla/mpi.h is for C, with the same names.
!
! Communicators and requests are given as integers (use mpi, mpif.h) or as types of mpi_f08. Requests are taken: the program's
! variables become MPI_REQUEST_NULL, and buffers must stay valid, and at their place, until the requests have completed. That
! holds for module variables, targets that are not reallocated, and components of a parla_work that are targets through self;
! arrays that a compiler may copy in and out (sections with a step) must not be given to non-blocking calls unless
! MPI_SUBARRAYS_SUPPORTED.
!
! Errors are as in module parla: stat= and errmsg=, or the end of the program; inside a body they fail the task.
module parla_mpi
   use, intrinsic :: iso_c_binding
   use mpi_f08, only: MPI_Comm, MPI_Request
   use parla
   implicit none
   private

   ! A runtime joined to the ranks of a communicator.
   type, bind(C), public :: parla_mpi_join
      type(c_ptr) :: handle = c_null_ptr
   end type

   public :: parla_mpi_start, parla_mpi_init, parla_mpi_fini, parla_mpi_share
   public :: parla_mpi_bind, parla_mpi_suspend_on, parla_mpi_event
   public :: parla_mpi_rank, parla_mpi_n_ranks, parla_mpi_comm, parla_mpi_lock, parla_mpi_unlock

   ! parla_mpi_init(join, rt, comm [, on_failure]): joins a runtime to the ranks of comm, which is duplicated. on_failure: "abort"
   ! (every rank says which one died, and the job ends within seconds; the default with several ranks) or "raise". From all ranks
   ! of comm.
   interface parla_mpi_init
      module procedure init_integer, init_f08
   end interface

   ! parla_mpi_share(comm, n_cores): shares out the cores of each node among its ranks, binds this thread to the part, and tells
   ! how many it has: workers= of the runtime, which is created after this. From all ranks of comm.
   interface parla_mpi_share
      module procedure share_integer, share_f08
   end interface

   ! parla_mpi_bind(join, context, requests): the running task ends only when the requests have completed; one that fails fails
   ! the task.
   interface parla_mpi_bind
      module procedure bind_integer, bind_f08
   end interface

   ! parla_mpi_suspend_on(join, context, requests): lets the task wait for the requests without its thread: return afterwards, and
   ! run is called again when all have completed. One that fails fails the task after that.
   interface parla_mpi_suspend_on
      module procedure suspend_integer, suspend_f08
   end interface

   ! parla_mpi_event(join, task, requests): makes a task without a body that is done when the requests have completed.
   interface parla_mpi_event
      module procedure event_integer, event_f08
   end interface

   ! The C side (glue_mpi.h); MPI_Fint is a default integer, which is C's int wherever there is an MPI.
   interface
      integer(c_int) function c_start(argc, argv) bind(C, name='parla_mpi_start')
         import; type(c_ptr), value :: argc, argv
      end function
      integer(c_int) function plf_mpi_init(join, rt, comm, on_failure) bind(C)
         import; type(c_ptr), intent(out) :: join; type(c_ptr), value :: rt; integer(c_int), value :: comm
         integer(c_int), value :: on_failure
      end function
      subroutine c_fini(join) bind(C, name='parla_mpi_fini')
         import; type(c_ptr), value :: join
      end subroutine
      integer(c_int) function plf_mpi_share(comm, n_cores) bind(C)
         import; integer(c_int), value :: comm; integer(c_int), intent(out) :: n_cores
      end function
      integer(c_int) function plf_mpi_bind(join, context, n, requests) bind(C)
         import; type(c_ptr), value :: join, context; integer(c_int), value :: n; integer(c_int), intent(inout) :: requests(*)
      end function
      integer(c_int) function plf_mpi_suspend_on(join, context, n, requests) bind(C)
         import; type(c_ptr), value :: join, context; integer(c_int), value :: n; integer(c_int), intent(inout) :: requests(*)
      end function
      integer(c_int) function plf_mpi_event(join, task, n, requests) bind(C)
         import; type(c_ptr), value :: join; type(parla_task), intent(out) :: task; integer(c_int), value :: n
         integer(c_int), intent(inout) :: requests(*)
      end function
      integer(c_int) function c_rank(join) bind(C, name='parla_mpi_rank')
         import; type(c_ptr), value :: join
      end function
      integer(c_int) function c_n_ranks(join) bind(C, name='parla_mpi_n_ranks')
         import; type(c_ptr), value :: join
      end function
      integer(c_int) function plf_mpi_comm(join) bind(C)
         import; type(c_ptr), value :: join
      end function
      subroutine c_lock(join) bind(C, name='parla_mpi_lock')
         import; type(c_ptr), value :: join
      end subroutine
      subroutine c_unlock(join) bind(C, name='parla_mpi_unlock')
         import; type(c_ptr), value :: join
      end subroutine
   end interface

contains

   ! Starts MPI with the thread level that is needed, unless somebody has started it.
   subroutine parla_mpi_start(stat, errmsg)
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_mpi_start', c_start(c_null_ptr, c_null_ptr), stat, errmsg)
   end subroutine

   subroutine init_integer(join, rt, comm, on_failure, stat, errmsg)
      type(parla_mpi_join), intent(out) :: join
      type(parla_runtime), intent(in) :: rt
      integer, intent(in) :: comm
      character(*), intent(in), optional :: on_failure
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      integer(c_int) :: what
      what = 0
      if (present(on_failure)) what = findloc([character(5) :: 'abort', 'raise'], on_failure, dim=1, kind=c_int)
      if (present(on_failure) .and. what == 0) what = -1
      call parla_conclude('parla_mpi_init', plf_mpi_init(join%handle, rt%handle, comm, what), stat, errmsg)
   end subroutine

   subroutine init_f08(join, rt, comm, on_failure, stat, errmsg)
      type(parla_mpi_join), intent(out) :: join
      type(parla_runtime), intent(in) :: rt
      type(MPI_Comm), intent(in) :: comm
      character(*), intent(in), optional :: on_failure
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call init_integer(join, rt, comm%mpi_val, on_failure, stat, errmsg)
   end subroutine

   ! Ends it; from all ranks, before the runtime is destroyed. Not from inside a task.
   subroutine parla_mpi_fini(join)
      type(parla_mpi_join), intent(inout) :: join
      call c_fini(join%handle)
      join%handle = c_null_ptr
   end subroutine

   subroutine share_integer(comm, n_cores, stat, errmsg)
      integer, intent(in) :: comm
      integer, intent(out) :: n_cores
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      integer(c_int) :: n
      n = 1
      call parla_conclude('parla_mpi_share', plf_mpi_share(comm, n), stat, errmsg)
      n_cores = n
   end subroutine

   subroutine share_f08(comm, n_cores, stat, errmsg)
      type(MPI_Comm), intent(in) :: comm
      integer, intent(out) :: n_cores
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call share_integer(comm%mpi_val, n_cores, stat, errmsg)
   end subroutine

   subroutine bind_integer(join, context, requests)
      type(parla_mpi_join), intent(in) :: join
      type(parla_context), intent(inout) :: context
      integer, intent(inout), contiguous :: requests(:)
      integer(c_int) :: code
      if (parla_failed(context)) return
      code = plf_mpi_bind(join%handle, context%handle, size(requests, kind=c_int), requests)
      if (code < 0) call parla_fail(context, parla_error_detail(), code)
   end subroutine

   subroutine bind_f08(join, context, requests)
      type(parla_mpi_join), intent(in) :: join
      type(parla_context), intent(inout) :: context
      type(MPI_Request), intent(inout) :: requests(:)
      integer :: handles(size(requests))
      handles = requests%mpi_val
      call bind_integer(join, context, handles)
      requests%mpi_val = handles
   end subroutine

   subroutine suspend_integer(join, context, requests)
      type(parla_mpi_join), intent(in) :: join
      type(parla_context), intent(inout) :: context
      integer, intent(inout), contiguous :: requests(:)
      integer(c_int) :: code
      if (parla_failed(context)) return
      code = plf_mpi_suspend_on(join%handle, context%handle, size(requests, kind=c_int), requests)
      if (code < 0) then
         call parla_fail(context, parla_error_detail(), code)
      else
         call parla_suspend(context)
      end if
   end subroutine

   subroutine suspend_f08(join, context, requests)
      type(parla_mpi_join), intent(in) :: join
      type(parla_context), intent(inout) :: context
      type(MPI_Request), intent(inout) :: requests(:)
      integer :: handles(size(requests))
      handles = requests%mpi_val
      call suspend_integer(join, context, handles)
      requests%mpi_val = handles
   end subroutine

   subroutine event_integer(join, task, requests, stat, errmsg)
      type(parla_mpi_join), intent(in) :: join
      type(parla_task), intent(out) :: task
      integer, intent(inout), contiguous :: requests(:)
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_mpi_event', plf_mpi_event(join%handle, task, size(requests, kind=c_int), requests), stat, errmsg)
   end subroutine

   subroutine event_f08(join, task, requests, stat, errmsg)
      type(parla_mpi_join), intent(in) :: join
      type(parla_task), intent(out) :: task
      type(MPI_Request), intent(inout) :: requests(:)
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      integer :: handles(size(requests))
      handles = requests%mpi_val
      call event_integer(join, task, handles, stat, errmsg)
      requests%mpi_val = handles
   end subroutine

   integer function parla_mpi_rank(join)
      type(parla_mpi_join), intent(in) :: join
      parla_mpi_rank = c_rank(join%handle)
   end function

   integer function parla_mpi_n_ranks(join)
      type(parla_mpi_join), intent(in) :: join
      parla_mpi_n_ranks = c_n_ranks(join%handle)
   end function

   ! The duplicate, for messages that must not mix with the program's own. Its error handler returns.
   type(MPI_Comm) function parla_mpi_comm(join)
      type(parla_mpi_join), intent(in) :: join
      parla_mpi_comm%mpi_val = plf_mpi_comm(join%handle)
   end function

   ! Brackets for the program's own MPI calls where MPI has only MPI_THREAD_SERIALIZED.
   subroutine parla_mpi_lock(join)
      type(parla_mpi_join), intent(in) :: join
      call c_lock(join%handle)
   end subroutine

   subroutine parla_mpi_unlock(join)
      type(parla_mpi_join), intent(in) :: join
      call c_unlock(join%handle)
   end subroutine
end module parla_mpi
