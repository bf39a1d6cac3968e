! test_tasks - spawn, order, copies of arguments, failures, suspension, events, ranges, errors.
module tasks_of_this_test
   use, intrinsic :: iso_c_binding
   use parla
   implicit none

   integer, target :: order(3) = 0, hits(1000) = 0
   integer :: n_plain = 0
   type(parla_task) :: gate

   ! Writes `value` to one place, from a copy of its own.
   type, extends(parla_work) :: writer
      integer, pointer :: place => null()
      integer, allocatable :: value(:)
   contains
      procedure :: run => run_writer
   end type

   ! Goes on only when the gate has opened, and remembers that across the two calls of run.
   type, extends(parla_work) :: patient
      integer, pointer :: place => null()
      integer :: n_calls = 0
   contains
      procedure :: run => run_patient
   end type

   type, extends(parla_work) :: counter
   contains
      procedure :: run => run_counter
   end type

   ! Fails the first time it is tried, and until then counts in a place of the program's.
   type, extends(parla_work) :: flaky
      integer, pointer :: n_tries => null()
   contains
      procedure :: run => run_flaky
   end type

contains

   subroutine run_writer(self, context)
      class(writer), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      if (parla_is_cancelled(context)) return
      self%place = sum(self%value)
   end subroutine

   subroutine run_patient(self, context)
      class(patient), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      self%n_calls = self%n_calls + 1
      if (self%n_calls == 1) then
         call parla_suspend_on(context, gate)
         return
      end if
      self%place = self%n_calls
   end subroutine

   subroutine run_counter(self, context)
      class(counter), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      integer(c_int64_t) :: i
      if (.not. same_type_as(self, counter())) call parla_fail(context, 'not a counter')
      i = parla_index(context)
      hits(i) = hits(i) + 1
   end subroutine

   subroutine run_flaky(self, context)
      class(flaky), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      self%n_tries = self%n_tries + 1
      if (self%n_tries == 1) call parla_fail(context, 'the first time')
   end subroutine

   subroutine plain(context)
      type(parla_context), intent(inout) :: context
      if (parla_device(context) == 0) n_plain = n_plain + 1
   end subroutine

   subroutine failing(context)
      type(parla_context), intent(inout) :: context
      call parla_fail(context, 'on purpose', -105_c_int)
      call parla_fail(context, 'too late')
   end subroutine
end module

program test_tasks
   use check_module
   use tasks_of_this_test
   implicit none
   type(parla_runtime) :: rt
   character(40) :: argument

   call get_command_argument(1, argument)
   call parla_runtime_create(rt, workers=2)
   if (argument == 'error_stop') then
      call parla_spawn(rt, failing, name='failing')
      call parla_runtime_wait(rt)
   end if
   call check(parla_version() == '0.1.0', 'version')
   call check(parla_runtime_workers(rt) == 2, 'workers')
   call check(parla_device_count(rt) == 1, 'devices')
   call order_and_copies()
   call failures()
   call suspension()
   call ranges_and_retries()
   call wrong_arguments()
   call parla_runtime_destroy(rt)
   call finish()

contains

   subroutine order_and_copies()
      type(parla_task) :: first, second
      type(writer) :: work
      integer :: i
      work = writer(order(1), [1, 2, 3])
      call parla_spawn(rt, work, task=first, name='first')
      work%value = [100]
      work%place => order(2)
      call parla_spawn(rt, work, task=second, after=[first])
      call parla_spawn(rt, writer(order(3), [7]), after=[first, second], priority=1)
      call parla_spawn(rt, plain, after=[second])
      call parla_wait(rt, [first, second])
      call check(parla_has_ended(first) .and. parla_has_ended(second), 'waited for two')
      call check(parla_state_name(first) == 'done', 'the state is done: '//parla_state_name(first))
      call parla_runtime_wait(rt)
      call check(all(order == [6, 100, 7]), 'each task had its own copy')
      call check(n_plain == 1, 'a procedure ran once')
      do i = 1, 1000
         call parla_spawn(rt, writer(hits(i), [i]))
      end do
      call parla_runtime_wait(rt)
      call check(all(hits == [(i, i=1, 1000)]), 'a thousand tasks')
   end subroutine

   subroutine failures()
      type(parla_task) :: task, dependent
      integer :: code
      character(400) :: words
      call parla_spawn(rt, failing, task=task, name='failing')
      call parla_spawn(rt, plain, task=dependent, after=[task])
      call parla_wait(rt, dependent, stat=code, errmsg=words)
      call check(code == PARLA_E_CANCELLED .or. code == -105, 'a dependent is cancelled')
      call check(index(words, 'task failing: on purpose') > 0, 'and told why: '//trim(words))
      call check(n_plain == 1, 'and has not run')
      call parla_spawn(rt, failing, name='another')
      call parla_runtime_wait(rt, stat=code, errmsg=words)
      call check(code == -105 .and. index(words, 'another') > 0, 'a failure that nobody saw: '//trim(words))
      call parla_runtime_wait(rt, stat=code)
      call check(code == 0, 'is told once')
   end subroutine

   subroutine suspension()
      integer, target :: place
      integer :: code
      type(parla_task) :: task
      place = 0
      call parla_event_create(rt, gate)
      call parla_spawn(rt, patient(place), task=task)
      call parla_wait(rt, task, timeout=0.01d0, stat=code)
      call check(code == PARLA_E_TIMEOUT, 'the gate is closed')
      call parla_event_complete(gate)
      call parla_wait(rt, task)
      call check(place == 2, 'it was called twice, on the same object')
      call parla_event_complete(gate, stat=code)
      call check(code == PARLA_E_STATE, 'an event is completed once')
      call parla_event_create(rt, gate)
      call parla_spawn(rt, plain, task=task, after=[gate])
      call parla_cancel(task, stat=code)
      call check(code == 0 .and. parla_state_name(task) == 'cancelled', 'a task that waits is cancelled at once')
      call parla_event_complete(gate, code=-5, words='the gate broke')
      call parla_runtime_wait(rt, stat=code)
      call check(code == -5, 'an event that failed and that nobody waited for is told')
   end subroutine

   subroutine ranges_and_retries()
      integer, target :: n_tries
      integer :: i
      hits = 0
      call parla_spawn_n(rt, 1000_c_int64_t, counter(), name='count')
      n_tries = 0
      call parla_spawn(rt, flaky(n_tries), retries=2)
      call parla_runtime_wait(rt)
      call check(all(hits == [(1, i=1, 1000)]), 'each index once')
      call check(n_tries == 2, 'it failed once and was tried again')
   end subroutine

   subroutine wrong_arguments()
      type(parla_runtime) :: other
      type(parla_use) :: nothing
      integer :: code
      character(400) :: words
      call parla_runtime_create(other, devices='teapot', stat=code, errmsg=words)
      call check(code == PARLA_E_NO_DEVICE .and. index(words, 'teapot') > 0, 'an unknown device is named: '//trim(words))
      call parla_spawn(rt, plain, on=[parla_gpu(3)], stat=code, errmsg=words)
      call check(code == PARLA_E_NO_DEVICE, 'there is no GPU 3: '//trim(words))
      call parla_spawn(rt, plain, uses=[nothing], stat=code, errmsg=words)
      call check(code == PARLA_E_INVALID .and. index(words, 'not created') > 0, 'an array that does not exist: '//trim(words))
      call check(len(parla_error_text(PARLA_E_NOMEM)) > 0, 'codes have texts')
   end subroutine
end program
