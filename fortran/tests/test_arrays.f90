! test_arrays - arrays over Fortran memory of several types, ranks and strides; regions; devices; what is refused.
module tasks_of_this_test
   use, intrinsic :: iso_c_binding
   use parla
   implicit none

   ! Adds 1000 i + j, counted in the whole array, to the elements of a region.
   type, extends(parla_work) :: add_indices
      integer :: i1, i2, j1, j2
   contains
      procedure :: run => run_add_indices
   end type

   ! x = factor * x for an array of rank 1.
   type, extends(parla_work) :: scale
      real(c_double) :: factor
   contains
      procedure :: run => run_scale
   end type

   ! Puts the sum of a complex array of rank 3 into an integer array of rank 1.
   type, extends(parla_work) :: add_up
   contains
      procedure :: run => run_add_up
   end type

   ! Asks for what is not there.
   type, extends(parla_work) :: wrong
      integer :: which
   contains
      procedure :: run => run_wrong
   end type

contains

   subroutine run_add_indices(self, context)
      class(add_indices), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(c_double), pointer :: x(:, :)
      integer :: i, j
      call parla_view(context, 1, x)
      if (parla_failed(context)) return
      if (parla_device(context) == 0) call parla_fail(context, 'this was to run on a GPU')
      do j = self%j1, self%j2
         do i = self%i1, self%i2
            x(i, j) = x(i, j) + 1000*i + j
         end do
      end do
   end subroutine

   subroutine run_scale(self, context)
      class(scale), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(c_double), pointer :: x(:)
      call parla_view(context, 1, x)
      if (.not. parla_failed(context)) x = self%factor*x
   end subroutine

   subroutine run_add_up(self, context)
      class(add_up), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      complex(c_float_complex), pointer :: x(:, :, :)
      integer(c_int32_t), pointer :: total(:)
      call parla_view(context, 1, x)
      call parla_view(context, 2, total)
      if (parla_failed(context) .or. .not. same_type_as(self, add_up())) return
      total(1) = int(real(sum(x)))
      total(2) = int(aimag(sum(x)))
      total(3) = int(real(x(2, 3, 4)))
   end subroutine

   subroutine run_wrong(self, context)
      class(wrong), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(c_double), pointer :: x(:)
      real(c_float), pointer :: y(:, :)
      if (self%which == 1) call parla_view(context, 1, x)
      if (self%which == 2) call parla_view(context, 1, y)
      if (self%which == 3) call parla_view(context, 2, x)
      if (self%which == 4) call parla_view(context, 0, x)
      if (.not. parla_failed(context)) call parla_fail(context, 'a wrong view was given')
   end subroutine
end module

program test_arrays
   use check_module
   use tasks_of_this_test
   implicit none
   type(parla_runtime) :: rt
   type(parla_array) :: gone

   call parla_runtime_create(rt, devices='sim:2', workers=2)
   call check(parla_device_count(rt) == 3, 'two GPUs and the CPU')
   call regions()
   call strides()
   call types()
   call memory_of_the_library()
   call wrong_views()
   call two_at_once()
   call parla_runtime_destroy(rt)
   call finish()

contains

   ! Four blocks on two GPUs, then all of it on one.
   subroutine regions()
      integer, parameter :: n = 6, m = 8
      real(c_double), allocatable, target :: x(:, :)
      type(parla_array) :: a
      integer :: i, j
      allocate (x(n, m), source=0.5d0)
      call parla_array_create(a, x, name='x')
      do j = 0, 1
         do i = 0, 1
            call parla_spawn(rt, add_indices(3*i + 1, 3*i + 3, 4*j + 1, 4*j + 4), on=[parla_gpu(j)], &
                             uses=[parla_inout(a, [parla_span(3*i + 1, 3*i + 3), parla_span(4*j + 1, 4*j + 4)])])
         end do
      end do
      call parla_sync(rt, a)
      call check(all(x == reshape([((0.5d0 + 1000*i + j, i=1, n), j=1, m)], [n, m])), 'blocks on two devices')
      x = 0
      call parla_spawn(rt, add_indices(1, n, 1, m), on=[parla_gpu(1)], uses=[parla_inout(a)])
      call parla_runtime_wait(rt)
      call parla_sync(rt, a)
      call check(all(x == reshape([((1000d0*i + j, i=1, n), j=1, m)], [n, m])), 'what the host wrote is seen')
      call parla_array_destroy(a)
   end subroutine

   subroutine strides()
      real(c_double), target :: x(3, 10)
      type(parla_array) :: row
      integer :: j
      x = reshape([(real(j, c_double), j=1, 30)], [3, 10])
      call parla_array_create(row, x(2, 1:10:3))
      call parla_spawn(rt, scale(10d0), on=[parla_gpu()], uses=[parla_inout(row)])
      call parla_sync(rt, row)
      call check(all(x(2, 1:10:3) == [20d0, 110d0, 200d0, 290d0]), 'a section with steps')
      call check(all(x(1, :) == [(3d0*j + 1, j=0, 9)]) .and. x(2, 2) == 5, 'and nothing else')
      call parla_array_destroy(row)
   end subroutine

   subroutine types()
      complex(c_float_complex), target :: x(2, 3, 4)
      integer(c_int32_t), target :: total(3)
      type(parla_array) :: a, b
      x = (1.0, -2.0)
      x(2, 3, 4) = (5.0, -2.0)
      total = 0
      call parla_array_create(a, x)
      call parla_array_create(b, total)
      call parla_spawn(rt, add_up(), on=[parla_gpu(0), parla_gpu(1)], uses=[parla_in(a), parla_out(b)])
      call parla_sync(rt, b)
      call check(all(total == [28, -48, 5]), 'a complex array of rank 3 and an integer array')
      call parla_array_destroy(a)
      call parla_array_destroy(b)
   end subroutine

   subroutine memory_of_the_library()
      type(parla_array) :: a
      real(c_double), pointer :: x(:), y(:, :)
      integer :: code
      character(400) :: words
      call parla_array_create(a, 8, [5], name='own')
      call parla_acquire(rt, a, PARLA_WRITE, x)
      call check(size(x) == 5, 'the shape is kept')
      x = [1, 2, 3, 4, 5]
      call parla_release(a, PARLA_WRITE)
      call parla_spawn(rt, scale(2d0), on=[parla_gpu(1)], uses=[parla_inout(a)])
      call parla_acquire(rt, a, PARLA_READ, x)
      call check(all(x == [2, 4, 6, 8, 10]), 'the content came back')
      call parla_release(a, PARLA_READ)
      call parla_acquire(rt, a, PARLA_READ, y, stat=code, errmsg=words)
      call check(code == PARLA_E_INVALID .and. .not. associated(y), 'a pointer of another rank: '//trim(words))
      call parla_array_destroy(a)
   end subroutine

   subroutine wrong_views()
      real(c_double), target :: x(4, 4)
      type(parla_array) :: a
      integer :: i, code
      character(400) :: words
      x = 1
      call parla_array_create(a, x)
      do i = 1, 4
         call parla_spawn(rt, wrong(i), uses=[parla_in(a)], name='wrong')
         call parla_runtime_wait(rt, stat=code, errmsg=words)
         call check(code == PARLA_E_INVALID .and. index(words, 'a wrong view') == 0, 'a wrong view is refused: '//trim(words))
      end do
      call parla_spawn(rt, wrong(1), uses=[parla_in(a, [parla_span(1, 4)])], stat=code, errmsg=words)
      call check(code == PARLA_E_INVALID .and. index(words, 'rank 2') > 0, 'spans that are too few: '//trim(words))
      call parla_spawn(rt, wrong(1), uses=[parla_in(a, [parla_span(1, 4), parla_span(1, 5)])], stat=code, errmsg=words)
      call check(code == PARLA_E_INVALID, 'a span beyond the array: '//trim(words))
      call parla_array_destroy(a)
      call parla_sync(rt, gone, stat=code, errmsg=words)
      call check(code == PARLA_E_INVALID, 'an array that was never created: '//trim(words))
   end subroutine

   ! A task with two devices at once, each with an array of its own.
   subroutine two_at_once()
      real(c_double), target :: x(3), y(3)
      type(parla_array) :: a, b
      x = 1
      y = 2
      call parla_array_create(a, x)
      call parla_array_create(b, y)
      call parla_spawn(rt, scale(3d0), on=[parla_gpu(0), parla_gpu(1)], together=.true., &
                       uses=[parla_inout(a, member=1), parla_inout(b, member=2)])
      call parla_sync(rt, a)
      call parla_sync(rt, b)
      call check(all(x == 3) .and. all(y == 2), 'a gang')
      call parla_array_destroy(a)
      call parla_array_destroy(b)
   end subroutine
end program
