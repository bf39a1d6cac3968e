/* host.c - see the header. The table is set once, before the backend's table is given out, and constant from then on. */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES 1024

static const parla_backend_host *the_host;

void pl_cuda_host_set(const parla_backend_host *host) { the_host = host; }

int pl_error_set(int code, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return the_host->error(code, text);
}

void pl_cuda_log(int level, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    the_host->log(level, text);
}

bool pl_cuda_is_broken(int rule) { return the_host->is_broken(rule); }
