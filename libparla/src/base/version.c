/* version.c - the version of the library that is running, which may differ from the headers that a program was compiled with. */
#include <parla/common.h>

const char *parla_version(void) { return PARLA_VERSION_STRING; }
