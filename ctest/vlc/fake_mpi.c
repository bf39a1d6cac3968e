/* fake_mpi.c - a library with a refused name, and what needs it, for test_needs.c. */
__attribute__((visibility("default"))) int T_FUNCTION(void);
#ifdef T_CALLS
int T_CALLS(void);
int T_FUNCTION(void) { return T_CALLS(); }
#else
int T_FUNCTION(void) { return 1; }
#endif
