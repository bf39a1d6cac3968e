! check - counts the checks of a test program, and ends it with 1 if one of them failed.
module check_module
   use, intrinsic :: iso_fortran_env, only: error_unit
   implicit none
   private
   public :: check, finish

   integer :: n_checks = 0, n_failed = 0

contains

   ! From the program's own thread only.
   subroutine check(holds, what)
      logical, intent(in) :: holds
      character(*), intent(in) :: what
      n_checks = n_checks + 1
      if (holds) return
      n_failed = n_failed + 1
      write (error_unit, '(2a)') 'not ok: ', what
   end subroutine

   subroutine finish()
      write (*, '(i0, a, i0, a)') n_checks, ' checks, ', n_failed, ' failed'
      if (n_failed > 0) error stop 1
   end subroutine
end module
