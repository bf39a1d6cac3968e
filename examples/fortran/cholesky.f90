! cholesky - the Cholesky factor of a matrix, tile by tile, on two simulated GPUs and the CPU.
!
! The matrix is one coherent array over the program's memory. Each task names the tiles that it reads and updates: that orders the
! tasks as if they ran in the order of these loops, and moves tiles to where tasks run. The kernels are plain loops; a real code
! calls LAPACK in them.
module cholesky_tasks
   use, intrinsic :: iso_fortran_env, only: real64
   use parla
   implicit none

   integer, parameter :: n_tiles = 6, nb = 40, n = n_tiles*nb

   ! A = L L^T of one tile.
   type, extends(parla_work) :: factor
      integer :: k
   contains
      procedure :: run => run_factor
   end type

   ! X = X L^-T for the tile at (i, k) with the factor of (k, k).
   type, extends(parla_work) :: solve
      integer :: i, k
   contains
      procedure :: run => run_solve
   end type

   ! C = C - A B^T for the tiles at (i, j), (i, k), (j, k).
   type, extends(parla_work) :: update
      integer :: i, j, k
   contains
      procedure :: run => run_update
   end type

contains

   function tile(i, j) result(region)
      integer, intent(in) :: i, j
      type(parla_span) :: region(2)
      region = [parla_span((i - 1)*nb + 1, i*nb), parla_span((j - 1)*nb + 1, j*nb)]
   end function

   ! The tile at (i, j) of what the task's use `which` is on its device.
   function tile_of(context, which, i, j) result(a)
      type(parla_context), intent(inout) :: context
      integer, intent(in) :: which, i, j
      real(real64), pointer :: a(:, :), whole(:, :)
      nullify (a)
      call parla_view(context, which, whole)
      if (associated(whole)) a => whole((i - 1)*nb + 1:i*nb, (j - 1)*nb + 1:j*nb)
   end function

   subroutine run_factor(self, context)
      class(factor), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(real64), pointer :: a(:, :)
      integer :: i, j
      a => tile_of(context, 1, self%k, self%k)
      if (parla_failed(context)) return
      do j = 1, nb
         a(j, j) = a(j, j) - sum(a(j, :j - 1)**2)
         if (a(j, j) <= 0) then
            call parla_fail(context, 'the matrix is not positive definite')
            return
         end if
         a(j, j) = sqrt(a(j, j))
         do i = j + 1, nb
            a(i, j) = (a(i, j) - dot_product(a(i, :j - 1), a(j, :j - 1)))/a(j, j)
         end do
      end do
   end subroutine

   subroutine run_solve(self, context)
      class(solve), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(real64), pointer :: l(:, :), x(:, :)
      integer :: j
      l => tile_of(context, 1, self%k, self%k)
      x => tile_of(context, 2, self%i, self%k)
      if (parla_failed(context)) return
      do j = 1, nb
         x(:, j) = (x(:, j) - matmul(x(:, :j - 1), l(j, :j - 1)))/l(j, j)
      end do
   end subroutine

   subroutine run_update(self, context)
      class(update), intent(inout), target :: self
      type(parla_context), intent(inout) :: context
      real(real64), pointer :: a(:, :), b(:, :), c(:, :)
      a => tile_of(context, 1, self%i, self%k)
      b => tile_of(context, 2, self%j, self%k)
      c => tile_of(context, 3, self%i, self%j)
      if (.not. parla_failed(context)) c = c - matmul(a, transpose(b))
   end subroutine
end module

program cholesky
   use cholesky_tasks
   implicit none
   type(parla_runtime) :: rt
   type(parla_array) :: matrix
   type(parla_place) :: gpus(2)
   real(real64), target :: a(n, n)
   real(real64) :: original(n, n), l(n, n), error
   integer :: i, j, k

   call random_number(original)
   original = (original + transpose(original))/2
   do i = 1, n
      original(i, i) = original(i, i) + n
   end do
   a = original
   call parla_runtime_create(rt, devices='sim:2')
   call parla_array_create(matrix, a, name='matrix')
   gpus = [parla_gpu(0), parla_gpu(1)]
   do k = 1, n_tiles
      call parla_spawn(rt, factor(k), uses=[parla_inout(matrix, tile(k, k))], name='factor', priority=2)
      do i = k + 1, n_tiles
         call parla_spawn(rt, solve(i, k), on=gpus, name='solve', &
                          uses=[parla_in(matrix, tile(k, k)), parla_inout(matrix, tile(i, k))])
      end do
      do j = k + 1, n_tiles
         do i = j, n_tiles
            call parla_spawn(rt, update(i, j, k), on=gpus, name='update', &
                             uses=[parla_in(matrix, tile(i, k)), parla_in(matrix, tile(j, k)), parla_inout(matrix, tile(i, j))])
         end do
      end do
   end do
   call parla_runtime_wait(rt) ! a failure of a task ends the program here, with its words
   call parla_sync(rt, matrix)
   l = 0
   do j = 1, n
      l(j:, j) = a(j:, j)
   end do
   error = maxval(abs(matmul(l, transpose(l)) - original))/n
   write (*, '(a, i0, a, i0, a, es8.1)') 'Cholesky of ', n, ' x ', n, ' on two simulated GPUs: |L L^T - A| / n = ', error
   if (.not. error < 1d-14) error stop 1
   call parla_array_destroy(matrix)
   call parla_runtime_destroy(rt)
end program
