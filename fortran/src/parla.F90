! parla - the runtime of one rank, for Fortran 2018: what the headers in include/parla are for C, with the same names.
!
! A task is an object of a type that extends parla_work: what it needs are the components of that type, and what it does is its
! procedure run. parla_spawn takes a copy, as C takes an argument: what the program does with its own object afterwards does not
! matter, but what pointer components point to must live until the task has ended. A task without data of its own is a procedure
! of a module.
!
!    type, extends(parla_work) :: scale                         subroutine run_scale(self, context)
!       real(real64) :: factor                                     class(scale), intent(inout), target :: self
!    contains                                                      type(parla_context), intent(inout) :: context
!       procedure :: run => run_scale                               real(real64), pointer :: x(:)
!    end type                                                       call parla_view(context, 1, x)
!                                                                   if (parla_failed(context)) return
!    call parla_spawn(rt, scale(2d0), uses=[parla_inout(a)])        x = self%factor * x
!    call parla_runtime_wait(rt)                                 end subroutine
!
! Errors are as in ALLOCATE: with stat= a call returns a PARLA_E_* code there (0: none), and its words in errmsg=, cut or padded
! to its length; without, an error ends the program (error stop) with those words. A body cannot do that: it says parla_fail and
! returns, which fails its task; parla_view and parla_suspend_on do so by themselves, and parla_failed tells.
!
! Bodies run on several threads at once. Compile what they call with -frecursive (gfortran; the CMake target Parla::fortran asks
! for it), or large local arrays are shared by all threads; keep `save` variables and internal procedures as tasks out of them.
!
! Counting: arrays, dimensions, uses and indices of a range from 1, as in Fortran; devices of a kind from 0, as ranks in MPI.
! Times are seconds. All procedures may be called from any thread, inside or outside a task, unless a line says otherwise.
module parla
   use, intrinsic :: iso_c_binding
   use, intrinsic :: iso_fortran_env, only: error_unit
   implicit none
   private

   ! --- Codes and constants ------------------------------------------------------------------------------------------------------

   integer(c_int), parameter, public :: PARLA_OK = 0, PARLA_PENDING = 1, PARLA_E_INVALID = -1, PARLA_E_NOMEM = -2, &
      PARLA_E_STATE = -3, PARLA_E_CANCELLED = -4, PARLA_E_USER = -5, PARLA_E_TIMEOUT = -6, PARLA_E_NO_DEVICE = -7, &
      PARLA_E_RESOURCES = -8, PARLA_E_UNSUPPORTED = -9, PARLA_E_DEVICE = -10, PARLA_E_STUCK = -11, &
      PARLA_E_SYSTEM = -12, PARLA_E_CONFIG = -13, PARLA_E_FORKED = -14, PARLA_E_INTERRUPTED = -15, &
      PARLA_E_DEVICE_MEMORY = -16, PARLA_E_TRANSPORT = -17

   ! How an array is used: read, overwritten as a whole, or both.
   integer(c_int), parameter, public :: PARLA_READ = 1, PARLA_WRITE = 2, PARLA_UPDATE = 3

   integer(c_int), parameter :: SUSPENDED = 2, ARCH_CPU = 0, ARCH_GPU = 1, ANY_NUMBER = -1, MAX_NDIM = 8

   ! --- Types --------------------------------------------------------------------------------------------------------------------

   ! A runtime; destroyed with parla_runtime_destroy. Copies name the same one.
   type, bind(C), public :: parla_runtime
      type(c_ptr) :: handle = c_null_ptr
   end type

   ! A name of a task; owns nothing, and stays meaningful after the task has ended. The default is no task.
   type, bind(C), public :: parla_task
      type(c_ptr) :: object = c_null_ptr
      integer(c_int64_t) :: generation = 0
   end type

   ! A coherent array (parla_data in C): Fortran memory, or memory of the library's, with copies on devices. Copies of this name
   ! the same array; one of them is given to parla_array_destroy.
   type, bind(C), public :: parla_array
      type(c_ptr) :: handle = c_null_ptr
   end type

   ! What a body knows of its task; valid until the body returns.
   type, bind(C), public :: parla_context
      type(c_ptr) :: handle = c_null_ptr
      integer(c_int) :: status = 0
   end type

   ! Elements first, first + step, … up to last along one dimension.
   type, public :: parla_span
      integer(c_int64_t) :: first, last
      integer(c_int64_t) :: step = 1
   end type

   ! One device that a task may run on; made by parla_cpu and parla_gpu.
   type, bind(C), public :: parla_place
      integer(c_int) :: arch = ARCH_CPU, number = ANY_NUMBER
      real(c_double) :: vcus = 0
      integer(c_int64_t) :: memory_bytes = 0
   end type

   ! One array that a task uses; made by parla_in, parla_out and parla_inout.
   type, bind(C), public :: parla_use
      type(c_ptr) :: array = c_null_ptr
      integer(c_int) :: mode = PARLA_READ, member = 0, n_spans = 0
      integer(c_int64_t) :: first(MAX_NDIM) = 1, last(MAX_NDIM) = 0, step(MAX_NDIM) = 1
   end type

   ! The work of a task: extend it.
   type, abstract, public :: parla_work
   contains
      procedure(run_interface), deferred :: run
   end type

   abstract interface
      ! Called on some thread when the task runs; again after parla_suspend_on. What self holds stays between such calls, at the
      ! same place.
      subroutine run_interface(self, context)
         import :: parla_work, parla_context
         class(parla_work), intent(inout), target :: self
         type(parla_context), intent(inout) :: context
      end subroutine

      subroutine body_interface(context)
         import :: parla_context
         type(parla_context), intent(inout) :: context
      end subroutine
   end interface

   ! --- Procedures ---------------------------------------------------------------------------------------------------------------

   public :: parla_version, parla_error_detail, parla_error_text
   public :: parla_runtime_create, parla_runtime_destroy, parla_runtime_wait, parla_runtime_workers, parla_device_count
   public :: parla_spawn, parla_spawn_n, parla_wait, parla_has_ended, parla_state_name, parla_cancel
   public :: parla_cpu, parla_gpu, parla_in, parla_out, parla_inout
   public :: parla_view, parla_fail, parla_failed, parla_suspend_on, parla_is_cancelled, parla_index, parla_device
   public :: parla_array_create, parla_array_destroy, parla_acquire, parla_release, parla_sync
   public :: parla_event_create, parla_event_complete
   public :: parla_conclude, parla_suspend

   ! Spawns a task; it may run as soon as its dependencies have completed, even before the call returns.
   !   work, body   what runs: an object that extends parla_work (copied), or a procedure of a module
   !   task         (out) its name, for later dependencies and waits
   !   after        tasks that come first
   !   uses         arrays, which order the task behind and before others that use the same elements, and are moved to where it runs
   !   on           devices to choose from; default: a CPU task, run by any worker. together=.true.: all of them at once
   !   name         for messages and traces
   !   priority     higher first; retries: how often it is repeated if its body fails
   ! Errors: as parla_task_spawn in task.h.
   interface parla_spawn
      module procedure spawn_work, spawn_body
   end interface

   ! Waits for one task or a list: stat is the first failure, errmsg tells which task failed, and how.
   interface parla_wait
      module procedure wait_one, wait_list
   end interface

   ! Lets the task wait for another one or a list without its thread: return afterwards, and run is called again when all have
   ! ended, also if one has failed.
   interface parla_suspend_on
      module procedure suspend_on_one, suspend_on_list
   end interface

   ! parla_array_create(array, x [, name]) is the array over the memory of x, of any type, rank and stride, which keeps its
   ! content and must live (with the attribute target, and not be reallocated) until the array is destroyed and the tasks that use
   ! it have ended. Between tasks, x may be read or written after parla_sync, or between parla_acquire and parla_release.
   ! parla_array_create(array, item_bytes, shape [, name]) has no content, and memory of the library's where and when it needs some.
   interface parla_array_create
      module procedure array_over, array_new
   end interface

   ! parla_view(context, i, p): points p at what the i-th of the task's uses is on its device; valid until the body returns. All
   ! of the array's elements can be addressed, those that the use names are current. p is a pointer to integer(c_int32_t,
   ! c_int64_t), real(c_float, c_double) or complex of these, of rank 1 to 4. On failure p is null and the task fails.
   interface parla_view
      module procedure view_i4_1, view_i4_2, view_i4_3, view_i4_4
      module procedure view_i8_1, view_i8_2, view_i8_3, view_i8_4
      module procedure view_r4_1, view_r4_2, view_r4_3, view_r4_4
      module procedure view_r8_1, view_r8_2, view_r8_3, view_r8_4
      module procedure view_c4_1, view_c4_2, view_c4_3, view_c4_4
      module procedure view_c8_1, view_c8_2, view_c8_3, view_c8_4
   end interface

   ! parla_acquire(rt, array, mode, p): brings the array to the host and points p at it, until parla_release with the same mode.
   ! Waits for the tasks that use it; tasks spawned meanwhile wait for the release. Not from inside a task.
   interface parla_acquire
      module procedure acquire_i4_1, acquire_i4_2, acquire_i4_3, acquire_i4_4
      module procedure acquire_i8_1, acquire_i8_2, acquire_i8_3, acquire_i8_4
      module procedure acquire_r4_1, acquire_r4_2, acquire_r4_3, acquire_r4_4
      module procedure acquire_r8_1, acquire_r8_2, acquire_r8_3, acquire_r8_4
      module procedure acquire_c4_1, acquire_c4_2, acquire_c4_3, acquire_c4_4
      module procedure acquire_c8_1, acquire_c8_2, acquire_c8_3, acquire_c8_4
   end interface

   ! --- The C side (glue.h) ------------------------------------------------------------------------------------------------------

   type, bind(C) :: c_runtime_args
      type(c_ptr) :: devices = c_null_ptr, policy = c_null_ptr, trace = c_null_ptr, bind = c_null_ptr, &
                     receipt = c_null_ptr
      integer(c_int64_t) :: window = 0, stall_ns = 0
      integer(c_int) :: n_workers = 0
   end type

   type, bind(C) :: c_spawn_args
      type(c_funptr) :: body, on_end
      type(c_ptr) :: arg, name, after, places, uses
      integer(c_int64_t) :: n_after, n_places, n_uses, n_calls
      integer(c_int) :: priority, n_retries, are_together
   end type

   ! A task's copy of what the program gave, and its name. Freed when the task has ended.
   type :: parcel
      class(parla_work), allocatable :: work
      procedure(body_interface), pointer, nopass :: body => null()
      character(kind=c_char), allocatable :: name(:)
   end type

   interface
      function c_version() bind(C, name='parla_version')
         import; type(c_ptr) :: c_version
      end function
      function c_error_detail() bind(C, name='parla_error_detail')
         import; type(c_ptr) :: c_error_detail
      end function
      function c_error_text(code) bind(C, name='parla_error_text')
         import; integer(c_int), value :: code; type(c_ptr) :: c_error_text
      end function
      integer(c_size_t) function strlen(text) bind(C)
         import; type(c_ptr), value :: text
      end function
      integer(c_int) function plf_runtime_create(rt, args) bind(C)
         import; type(c_ptr), intent(out) :: rt; type(c_runtime_args), intent(in) :: args
      end function
      subroutine c_runtime_destroy(rt) bind(C, name='parla_runtime_destroy')
         import; type(c_ptr), value :: rt
      end subroutine
      integer(c_int) function plf_runtime_wait(rt, timeout_ns) bind(C)
         import; type(c_ptr), value :: rt; integer(c_int64_t), value :: timeout_ns
      end function
      integer(c_int) function plf_runtime_workers(rt) bind(C)
         import; type(c_ptr), value :: rt
      end function
      integer(c_int) function c_device_count(rt) bind(C, name='parla_device_count')
         import; type(c_ptr), value :: rt
      end function
      integer(c_int) function plf_spawn(rt, task, args) bind(C)
         import; type(c_ptr), value :: rt; type(parla_task), intent(out) :: task; type(c_spawn_args), intent(in) :: args
      end function
      integer(c_int) function plf_wait(rt, tasks, n_tasks, timeout_ns) bind(C)
         import; type(c_ptr), value :: rt; type(parla_task), intent(in) :: tasks(*)
         integer(c_int64_t), value :: n_tasks, timeout_ns
      end function
      logical(c_bool) function c_has_ended(task) bind(C, name='parla_task_has_ended')
         import; type(parla_task), value :: task
      end function
      integer(c_int) function c_query(task) bind(C, name='parla_task_query')
         import; type(parla_task), value :: task
      end function
      function c_state_name(state) bind(C, name='parla_task_state_name')
         import; integer(c_int), value :: state; type(c_ptr) :: c_state_name
      end function
      integer(c_int) function c_cancel(task) bind(C, name='parla_task_cancel')
         import; type(parla_task), value :: task
      end function
      integer(c_int) function plf_fail(context, code, words) bind(C)
         import; type(c_ptr), value :: context; integer(c_int), value :: code; character(kind=c_char), intent(in) :: words(*)
      end function
      integer(c_int) function c_suspend_on(context, tasks, n_tasks) bind(C, name='parla_suspend_on')
         import; type(c_ptr), value :: context; type(parla_task), intent(in) :: tasks(*); integer(c_size_t), value :: n_tasks
      end function
      logical(c_bool) function c_is_cancelled(context) bind(C, name='parla_context_is_cancelled')
         import; type(c_ptr), value :: context
      end function
      integer(c_size_t) function c_index(context) bind(C, name='parla_context_index')
         import; type(c_ptr), value :: context
      end function
      integer(c_int) function c_device(context, member) bind(C, name='parla_context_device')
         import; type(c_ptr), value :: context; integer(c_size_t), value :: member
      end function
      integer(c_int) function plf_array_over(array, x, name) bind(C)
         import; type(c_ptr), intent(out) :: array; type(*), intent(in), target :: x(..); type(c_ptr), value :: name
      end function
      integer(c_int) function plf_array_new(array, item_bytes, rank, shape, name) bind(C)
         import; type(c_ptr), intent(out) :: array; integer(c_int64_t), value :: item_bytes; integer(c_int), value :: rank
         integer(c_int64_t), intent(in) :: shape(*); type(c_ptr), value :: name
      end function
      subroutine c_data_unref(array) bind(C, name='parla_data_unref')
         import; type(c_ptr), value :: array
      end subroutine
      subroutine c_data_release(array, mode) bind(C, name='parla_data_release')
         import; type(c_ptr), value :: array; integer(c_int), value :: mode
      end subroutine
      integer(c_int) function plf_sync(rt, array, timeout_ns) bind(C)
         import; type(c_ptr), value :: rt, array; integer(c_int64_t), value :: timeout_ns
      end function
      integer(c_int) function c_event_create(rt, task, name) bind(C, name='parla_event_create')
         import; type(c_ptr), value :: rt, name; type(parla_task), intent(out) :: task
      end function
      subroutine c_task_unref(task) bind(C, name='parla_task_unref')
         import; type(parla_task), value :: task
      end subroutine
      integer(c_int) function c_event_complete(task, status, message) bind(C, name='parla_event_complete')
         import; type(parla_task), value :: task; integer(c_int), value :: status; type(c_ptr), value :: message
      end function
   end interface

contains

   ! --- Words --------------------------------------------------------------------------------------------------------------------

   ! The version of the library that is running, "major.minor.patch".
   function parla_version() result(text)
      character(:), allocatable :: text
      text = text_at(c_version())
   end function

   ! What was asked, what was found and what to do, for the last call that failed on this thread.
   function parla_error_detail() result(text)
      character(:), allocatable :: text
      text = text_at(c_error_detail())
   end function

   ! What a code means, in one line.
   function parla_error_text(code) result(text)
      integer, intent(in) :: code
      character(:), allocatable :: text
      text = text_at(c_error_text(int(code, c_int)))
   end function

   function text_at(address) result(text)
      type(c_ptr), intent(in) :: address
      character(:), allocatable :: text
      character(kind=c_char), pointer :: letters(:)
      integer :: i
      call c_f_pointer(address, letters, [strlen(address)])
      allocate (character(size(letters)) :: text)
      do i = 1, size(letters)
         text(i:i) = letters(i)
      end do
   end function

   ! An optional text as C wants it, not allocated if there is none; it must outlive the address that address_of gives.
   subroutine set_text(letters, text)
      character(kind=c_char), allocatable, intent(out) :: letters(:)
      character(*), intent(in), optional :: text
      integer :: i
      if (.not. present(text)) return
      allocate (letters(len(text) + 1))
      do i = 1, len(text)
         letters(i) = text(i:i)
      end do
      letters(len(text) + 1) = c_null_char
   end subroutine

   type(c_ptr) function address_of(letters)
      character(kind=c_char), allocatable, target, intent(in) :: letters(:)
      address_of = c_null_ptr
      if (allocated(letters)) address_of = c_loc(letters)
   end function

   integer(c_int64_t) function nanoseconds(timeout)
      real(c_double), intent(in), optional :: timeout
      nanoseconds = -1
      if (present(timeout)) nanoseconds = int(max(0d0, min(timeout, 9d9))*1d9, c_int64_t)
   end function

   ! For the modules above this one: how a call ends that has the optional arguments stat and errmsg (see the head).
   subroutine parla_conclude(what, code, stat, errmsg)
      character(*), intent(in) :: what
      integer(c_int), intent(in) :: code
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      character(:), allocatable :: words
      if (present(stat)) stat = code
      if (code >= 0) return
      words = parla_error_detail()
      if (len(words) == 0) words = parla_error_text(code)
      if (present(errmsg)) errmsg = words
      if (present(stat)) return
      write (error_unit, '(4a)') what, ': ', words
      error stop 1
   end subroutine

   ! --- Runtimes -----------------------------------------------------------------------------------------------------------------

   ! Starts a runtime. What is not given is taken from PARLA_*, else the default (runtime.h tells them all).
   !   devices   such as "cpu", "sim:2", "cuda"       workers   threads that run CPU tasks       policy   "locality", "eager",
   ! "round_robin"
   !   bind      "core", "none", "auto"               trace     file for the trace               window   soft bound on tasks in
   ! flight
   !   stall     seconds without any task ending until a watchdog tells who waits for whom
   !   receipt   file for the exit receipt
   subroutine parla_runtime_create(rt, devices, workers, policy, bind, trace, window, stall, stat, errmsg, receipt)
      type(parla_runtime), intent(out) :: rt
      character(*), intent(in), optional :: devices, policy, bind, trace, receipt
      integer, intent(in), optional :: workers
      integer(c_int64_t), intent(in), optional :: window
      real(c_double), intent(in), optional :: stall
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      character(kind=c_char), allocatable, target :: texts(:), policy_text(:), bind_text(:), trace_text(:)
      character(kind=c_char), allocatable, target :: receipt_text(:)
      type(c_runtime_args) :: args
      call set_text(texts, devices)
      call set_text(policy_text, policy)
      call set_text(bind_text, bind)
      call set_text(trace_text, trace)
      call set_text(receipt_text, receipt)
      args = c_runtime_args(address_of(texts), address_of(policy_text), address_of(trace_text), address_of(bind_text), &
                            address_of(receipt_text))
      if (present(workers)) args%n_workers = int(workers, c_int)
      if (present(window)) args%window = window
      if (present(stall)) args%stall_ns = nanoseconds(stall)
      call parla_conclude('parla_runtime_create', plf_runtime_create(rt%handle, args), stat, errmsg)
   end subroutine

   ! Stops a runtime: tasks that have not started are cancelled, running ones waited for, arrays written back to host memory. Not
   ! from inside a task.
   subroutine parla_runtime_destroy(rt)
      type(parla_runtime), intent(inout) :: rt
      call c_runtime_destroy(rt%handle)
      rt%handle = c_null_ptr
   end subroutine

   ! Waits until every task spawned so far, and all that those spawn, have ended, and runs tasks meanwhile. A failure of a task
   ! that nobody has looked at is this call's error. Not from inside a task.
   subroutine parla_runtime_wait(rt, timeout, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      real(c_double), intent(in), optional :: timeout
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_runtime_wait', plf_runtime_wait(rt%handle, nanoseconds(timeout)), stat, errmsg)
   end subroutine

   integer function parla_runtime_workers(rt)
      type(parla_runtime), intent(in) :: rt
      parla_runtime_workers = plf_runtime_workers(rt%handle)
   end function

   ! How many devices there are, the CPU included.
   integer function parla_device_count(rt)
      type(parla_runtime), intent(in) :: rt
      parla_device_count = c_device_count(rt%handle)
   end function

   ! --- Where and what -----------------------------------------------------------------------------------------------------------

   ! The CPU, and GPU `number` (from 0; absent: any). vcus: which share of it the task takes, up to 1; memory_bytes: besides its
   ! arrays.
   type(parla_place) function parla_cpu(vcus, memory_bytes)
      real(c_double), intent(in), optional :: vcus
      integer(c_int64_t), intent(in), optional :: memory_bytes
      parla_cpu = place_of(ARCH_CPU, ANY_NUMBER, vcus, memory_bytes)
   end function

   type(parla_place) function parla_gpu(number, vcus, memory_bytes)
      integer, intent(in), optional :: number
      real(c_double), intent(in), optional :: vcus
      integer(c_int64_t), intent(in), optional :: memory_bytes
      integer(c_int) :: which
      which = ANY_NUMBER
      if (present(number)) which = int(number, c_int)
      parla_gpu = place_of(ARCH_GPU, which, vcus, memory_bytes)
   end function

   type(parla_place) function place_of(arch, number, vcus, memory_bytes)
      integer(c_int), intent(in) :: arch, number
      real(c_double), intent(in), optional :: vcus
      integer(c_int64_t), intent(in), optional :: memory_bytes
      place_of = parla_place(arch=arch, number=number)
      if (present(vcus)) place_of%vcus = vcus
      if (present(memory_bytes)) place_of%memory_bytes = memory_bytes
   end function

   ! The task reads, overwrites, or reads and writes the array, or the region that one span for each dimension names. member:
   ! which of its devices gets it, from 1.
   type(parla_use) function parla_in(array, region, member)
      type(parla_array), intent(in) :: array
      type(parla_span), intent(in), optional :: region(:)
      integer, intent(in), optional :: member
      parla_in = use_of(array, PARLA_READ, region, member)
   end function

   type(parla_use) function parla_out(array, region, member)
      type(parla_array), intent(in) :: array
      type(parla_span), intent(in), optional :: region(:)
      integer, intent(in), optional :: member
      parla_out = use_of(array, PARLA_WRITE, region, member)
   end function

   type(parla_use) function parla_inout(array, region, member)
      type(parla_array), intent(in) :: array
      type(parla_span), intent(in), optional :: region(:)
      integer, intent(in), optional :: member
      parla_inout = use_of(array, PARLA_UPDATE, region, member)
   end function

   type(parla_use) function use_of(array, mode, region, member)
      type(parla_array), intent(in) :: array
      integer(c_int), intent(in) :: mode
      type(parla_span), intent(in), optional :: region(:)
      integer, intent(in), optional :: member
      integer :: n
      use_of%array = array%handle
      use_of%mode = mode
      if (present(member)) use_of%member = int(member - 1, c_int)
      if (.not. present(region)) return
      use_of%n_spans = size(region)
      n = min(size(region), int(MAX_NDIM))
      use_of%first(:n) = region(:n)%first
      use_of%last(:n) = region(:n)%last
      use_of%step(:n) = region(:n)%step
   end function

   ! --- Tasks --------------------------------------------------------------------------------------------------------------------

   subroutine spawn_work(rt, work, task, after, uses, on, together, name, priority, retries, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      class(parla_work), intent(in), target :: work ! target: what its pointers lead to will change
      type(parla_task), intent(out), optional :: task
      type(parla_task), intent(in), optional :: after(:)
      type(parla_use), intent(in), optional :: uses(:)
      type(parla_place), intent(in), optional :: on(:)
      logical, intent(in), optional :: together
      character(*), intent(in), optional :: name
      integer, intent(in), optional :: priority, retries
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      type(parcel), pointer :: box
      allocate (box)
      allocate (box%work, source=work)
      call spawn_parcel(rt, box, 0_c_int64_t, task, after, uses, on, together, name, priority, retries, stat, errmsg)
   end subroutine

   subroutine spawn_body(rt, body, task, after, uses, on, together, name, priority, retries, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      procedure(body_interface) :: body
      type(parla_task), intent(out), optional :: task
      type(parla_task), intent(in), optional :: after(:)
      type(parla_use), intent(in), optional :: uses(:)
      type(parla_place), intent(in), optional :: on(:)
      logical, intent(in), optional :: together
      character(*), intent(in), optional :: name
      integer, intent(in), optional :: priority, retries
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      type(parcel), pointer :: box
      allocate (box)
      box%body => body
      call spawn_parcel(rt, box, 0_c_int64_t, task, after, uses, on, together, name, priority, retries, stat, errmsg)
   end subroutine

   ! One task that calls work%run n times, for parla_index(context) = 1 … n, in any order and several at a time: run must not
   ! change self.
   subroutine parla_spawn_n(rt, n, work, task, after, name, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      integer(c_int64_t), intent(in) :: n
      class(parla_work), intent(in), target :: work ! target: what its pointers lead to will change
      type(parla_task), intent(out), optional :: task
      type(parla_task), intent(in), optional :: after(:)
      character(*), intent(in), optional :: name
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      type(parcel), pointer :: box
      allocate (box)
      allocate (box%work, source=work)
      call spawn_parcel(rt, box, max(n, 0_c_int64_t), task, after, name=name, stat=stat, errmsg=errmsg)
   end subroutine

   ! Spawns what is in the parcel, which then belongs to the task.
   subroutine spawn_parcel(rt, box, n_calls, task, after, uses, on, together, name, priority, retries, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      type(parcel), pointer, intent(inout) :: box
      integer(c_int64_t), intent(in) :: n_calls
      type(parla_task), intent(out), optional :: task
      type(parla_task), intent(in), optional :: after(:)
      type(parla_use), intent(in), optional :: uses(:)
      type(parla_place), intent(in), optional :: on(:)
      logical, intent(in), optional :: together
      character(*), intent(in), optional :: name
      integer, intent(in), optional :: priority, retries
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      type(parla_task), allocatable, target :: tasks(:)
      type(parla_use), allocatable, target :: accesses(:)
      type(parla_place), allocatable, target :: places(:)
      type(parla_task) :: spawned
      type(c_spawn_args) :: args
      integer(c_int) :: code
      allocate (tasks(0), accesses(0), places(0))
      if (present(after)) tasks = after
      if (present(uses)) accesses = uses
      if (present(on)) places = on
      call set_text(box%name, name)
      args = c_spawn_args(c_funloc(run_parcel), c_funloc(drop_parcel), c_loc(box), address_of(box%name), c_loc_tasks(tasks), &
                          c_loc_places(places), c_loc_uses(accesses), size(tasks), size(places), size(accesses), n_calls, 0, 0, 0)
      if (present(priority)) args%priority = int(priority, c_int)
      if (present(retries)) args%n_retries = int(retries, c_int)
      if (present(together)) args%are_together = merge(1, 0, together)
      code = plf_spawn(rt%handle, spawned, args)
      if (code < 0) deallocate (box)
      if (present(task) .and. code == 0) task = spawned
      call parla_conclude('parla_spawn', code, stat, errmsg)
   end subroutine

   ! The address of a list that may be empty.
   type(c_ptr) function c_loc_tasks(list)
      type(parla_task), target, intent(in) :: list(:)
      c_loc_tasks = c_null_ptr
      if (size(list) > 0) c_loc_tasks = c_loc(list(1))
   end function

   type(c_ptr) function c_loc_places(list)
      type(parla_place), target, intent(in) :: list(:)
      c_loc_places = c_null_ptr
      if (size(list) > 0) c_loc_places = c_loc(list(1))
   end function

   type(c_ptr) function c_loc_uses(list)
      type(parla_use), target, intent(in) :: list(:)
      c_loc_uses = c_null_ptr
      if (size(list) > 0) c_loc_uses = c_loc(list(1))
   end function

   ! A parla_body of C. The program may extend parla_work and spawn from a body, so this can be on a thread's stack more than once.
   recursive integer(c_int) function run_parcel(handle, arg) bind(C, name='plf_run_parcel')
      type(c_ptr), value :: handle, arg
      type(parcel), pointer :: box
      type(parla_context) :: context
      call c_f_pointer(arg, box)
      context = parla_context(handle, 0)
      if (associated(box%body)) then
         call box%body(context)
      else
         call box%work%run(context)
      end if
      run_parcel = context%status
   end function

   ! A parla_on_end of C.
   subroutine drop_parcel(arg, outcome) bind(C, name='plf_drop_parcel')
      type(c_ptr), value :: arg, outcome
      type(parcel), pointer :: box
      if (.not. c_associated(outcome)) return
      call c_f_pointer(arg, box)
      deallocate (box)
   end subroutine

   subroutine wait_one(rt, task, timeout, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      type(parla_task), intent(in) :: task
      real(c_double), intent(in), optional :: timeout
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call wait_list(rt, [task], timeout, stat, errmsg)
   end subroutine

   subroutine wait_list(rt, tasks, timeout, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      type(parla_task), intent(in), contiguous :: tasks(:)
      real(c_double), intent(in), optional :: timeout
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_wait', plf_wait(rt%handle, tasks, size(tasks, kind=c_int64_t), nanoseconds(timeout)), stat, errmsg)
   end subroutine

   ! True once the task is done, failed or cancelled.
   logical function parla_has_ended(task)
      type(parla_task), intent(in) :: task
      parla_has_ended = c_has_ended(task)
   end function

   ! "waiting", "running", "done", …
   function parla_state_name(task) result(text)
      type(parla_task), intent(in) :: task
      character(:), allocatable :: text
      text = text_at(c_state_name(c_query(task)))
   end function

   ! Asks for a task to end early. stat: 0 if it is cancelled now, PARLA_PENDING if it had started and may ask parla_is_cancelled,
   ! PARLA_E_STATE if it had ended.
   subroutine parla_cancel(task, stat)
      type(parla_task), intent(in) :: task
      integer, intent(out), optional :: stat
      integer(c_int) :: code
      code = c_cancel(task)
      if (present(stat)) stat = code
   end subroutine

   ! --- Inside a body ------------------------------------------------------------------------------------------------------------

   ! Fails the task: return afterwards. code: negative, default PARLA_E_USER. The first failure counts.
   subroutine parla_fail(context, words, code)
      type(parla_context), intent(inout) :: context
      character(*), intent(in) :: words
      integer(c_int), intent(in), optional :: code
      character(kind=c_char), allocatable :: text(:)
      integer(c_int) :: what
      if (context%status < 0) return
      what = PARLA_E_USER
      if (present(code)) what = code
      call set_text(text, words)
      context%status = plf_fail(context%handle, what, text)
   end subroutine

   ! True once something in this body has failed the task.
   logical function parla_failed(context)
      type(parla_context), intent(in) :: context
      parla_failed = context%status < 0
   end function

   subroutine suspend_on_one(context, task)
      type(parla_context), intent(inout) :: context
      type(parla_task), intent(in) :: task
      call suspend_on_list(context, [task])
   end subroutine

   subroutine suspend_on_list(context, tasks)
      type(parla_context), intent(inout) :: context
      type(parla_task), intent(in), contiguous :: tasks(:)
      integer(c_int) :: code
      if (context%status < 0) return
      code = c_suspend_on(context%handle, tasks, size(tasks, kind=c_size_t))
      if (code < 0) then
         call parla_fail(context, parla_error_detail(), code)
      else
         call parla_suspend(context)
      end if
   end subroutine

   ! For the modules above this one: the body has arranged for its task to be resumed, and is about to return.
   subroutine parla_suspend(context)
      type(parla_context), intent(inout) :: context
      if (context%status >= 0) context%status = SUSPENDED
   end subroutine

   ! True once somebody asked to cancel the task.
   logical function parla_is_cancelled(context)
      type(parla_context), intent(in) :: context
      parla_is_cancelled = c_is_cancelled(context%handle)
   end function

   ! Which call of parla_spawn_n this is, from 1.
   integer(c_int64_t) function parla_index(context)
      type(parla_context), intent(in) :: context
      parla_index = int(c_index(context%handle), c_int64_t) + 1
   end function

   ! The number of the task's device in the runtime: 0 is the CPU. member: which of several, from 1.
   integer function parla_device(context, member)
      type(parla_context), intent(in) :: context
      integer, intent(in), optional :: member
      integer(c_size_t) :: i
      i = 0
      if (present(member)) i = member - 1
      parla_device = c_device(context%handle, i)
   end function

   ! --- Arrays -------------------------------------------------------------------------------------------------------------------

   subroutine array_over(array, x, name, stat, errmsg)
      type(parla_array), intent(out) :: array
      type(*), intent(in), target :: x(..)
      character(*), intent(in), optional :: name
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      character(kind=c_char), allocatable, target :: text(:)
      call set_text(text, name)
      call parla_conclude('parla_array_create', plf_array_over(array%handle, x, address_of(text)), stat, errmsg)
   end subroutine

   subroutine array_new(array, item_bytes, shape, name, stat, errmsg)
      type(parla_array), intent(out) :: array
      integer, intent(in) :: item_bytes
      integer, intent(in) :: shape(:)
      character(*), intent(in), optional :: name
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      character(kind=c_char), allocatable, target :: text(:)
      call set_text(text, name)
      call parla_conclude('parla_array_create', &
                    plf_array_new(array%handle, int(item_bytes, c_int64_t), size(shape, kind=c_int), int(shape, c_int64_t), &
                                  address_of(text)), stat, errmsg)
   end subroutine

   ! Drops the program's hold of the array; tasks that use it keep theirs. What only a device has is lost: parla_sync first.
   subroutine parla_array_destroy(array)
      type(parla_array), intent(inout) :: array
      call c_data_unref(array%handle)
      array%handle = c_null_ptr
   end subroutine

   subroutine parla_release(array, mode)
      type(parla_array), intent(in) :: array
      integer(c_int), intent(in) :: mode
      call c_data_release(array%handle, mode)
   end subroutine

   ! Waits for the tasks that use the array and brings its content to the host: what it was made over may be read and written
   ! until a task that uses it is spawned. Not from inside a task.
   subroutine parla_sync(rt, array, timeout, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      type(parla_array), intent(in) :: array
      real(c_double), intent(in), optional :: timeout
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_sync', plf_sync(rt%handle, array%handle, nanoseconds(timeout)), stat, errmsg)
   end subroutine

   ! --- Events -------------------------------------------------------------------------------------------------------------------

   ! A task without a body that somebody completes: others come after it, suspend on it or wait for it.
   subroutine parla_event_create(rt, task, stat, errmsg)
      type(parla_runtime), intent(in) :: rt
      type(parla_task), intent(out) :: task
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      call parla_conclude('parla_event_create', c_event_create(rt%handle, task, c_null_ptr), stat, errmsg)
   end subroutine

   ! Completes it; a negative code with words fails it, and cancels what comes after it.
   subroutine parla_event_complete(task, code, words, stat, errmsg)
      type(parla_task), intent(in) :: task
      integer, intent(in), optional :: code
      character(*), intent(in), optional :: words
      integer, intent(out), optional :: stat
      character(*), intent(inout), optional :: errmsg
      character(kind=c_char), allocatable, target :: text(:)
      integer(c_int) :: status
      status = 0
      if (present(code)) status = int(code, c_int)
      call set_text(text, words)
      status = c_event_complete(task, status, address_of(text))
      if (status == 0) call c_task_unref(task)
      call parla_conclude('parla_event_complete', status, stat, errmsg)
   end subroutine

   ! --- Pointers of each type and rank -------------------------------------------------------------------------------------------

#define VIEW view_i4_1
#define ACQUIRE acquire_i4_1
#define TYPE_ integer(c_int32_t)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_i4_2
#define ACQUIRE acquire_i4_2
#define TYPE_ integer(c_int32_t)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_i4_3
#define ACQUIRE acquire_i4_3
#define TYPE_ integer(c_int32_t)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_i4_4
#define ACQUIRE acquire_i4_4
#define TYPE_ integer(c_int32_t)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
#define VIEW view_i8_1
#define ACQUIRE acquire_i8_1
#define TYPE_ integer(c_int64_t)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_i8_2
#define ACQUIRE acquire_i8_2
#define TYPE_ integer(c_int64_t)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_i8_3
#define ACQUIRE acquire_i8_3
#define TYPE_ integer(c_int64_t)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_i8_4
#define ACQUIRE acquire_i8_4
#define TYPE_ integer(c_int64_t)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
#define VIEW view_r4_1
#define ACQUIRE acquire_r4_1
#define TYPE_ real(c_float)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_r4_2
#define ACQUIRE acquire_r4_2
#define TYPE_ real(c_float)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_r4_3
#define ACQUIRE acquire_r4_3
#define TYPE_ real(c_float)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_r4_4
#define ACQUIRE acquire_r4_4
#define TYPE_ real(c_float)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
#define VIEW view_r8_1
#define ACQUIRE acquire_r8_1
#define TYPE_ real(c_double)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_r8_2
#define ACQUIRE acquire_r8_2
#define TYPE_ real(c_double)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_r8_3
#define ACQUIRE acquire_r8_3
#define TYPE_ real(c_double)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_r8_4
#define ACQUIRE acquire_r8_4
#define TYPE_ real(c_double)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
#define VIEW view_c4_1
#define ACQUIRE acquire_c4_1
#define TYPE_ complex(c_float_complex)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_c4_2
#define ACQUIRE acquire_c4_2
#define TYPE_ complex(c_float_complex)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_c4_3
#define ACQUIRE acquire_c4_3
#define TYPE_ complex(c_float_complex)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_c4_4
#define ACQUIRE acquire_c4_4
#define TYPE_ complex(c_float_complex)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
#define VIEW view_c8_1
#define ACQUIRE acquire_c8_1
#define TYPE_ complex(c_double_complex)
#define DIMS_ (:)
#include "pointers.inc"
#define VIEW view_c8_2
#define ACQUIRE acquire_c8_2
#define TYPE_ complex(c_double_complex)
#define DIMS_ (:, :)
#include "pointers.inc"
#define VIEW view_c8_3
#define ACQUIRE acquire_c8_3
#define TYPE_ complex(c_double_complex)
#define DIMS_ (:, :, :)
#include "pointers.inc"
#define VIEW view_c8_4
#define ACQUIRE acquire_c8_4
#define TYPE_ complex(c_double_complex)
#define DIMS_ (:, :, :, :)
#include "pointers.inc"
end module parla
