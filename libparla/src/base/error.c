/* error.c - codes as names and texts, and the detail of the last failure on each thread.
 *
 * The function that first decides that something failed calls pl_error_set; those above it pass the code up unchanged. So the
 * detail belongs to the origin, and the debug line in the log appears once. Each thread writes and reads only its own buffer: no
 * locks. */
#include "base/error.h"

#include "base/text.h"

#include <parla/log.h>

#include <stdarg.h>
#include <string.h>

static _Thread_local char detail[PL_ERROR_DETAIL_BYTES];
PL_HOT_THREAD_LOCAL bool pl_error_has_detail;

const char *parla_error_name(int code)
{
    switch (code) {
    case PARLA_OK:
        return "PARLA_OK";
    case PARLA_PENDING:
        return "PARLA_PENDING";
#define NAME_CASE(name, number, text)                                                                                              \
    case number:                                                                                                                   \
        return "PARLA_E_" #name;
        PARLA_ERRORS(NAME_CASE)
#undef NAME_CASE
    default:
        return "PARLA_E_?";
    }
}

const char *parla_error_text(int code)
{
    switch (code) {
    case PARLA_OK:
        return "success";
    case PARLA_PENDING:
        return "not yet";
#define TEXT_CASE(name, number, text)                                                                                              \
    case number:                                                                                                                   \
        return text;
        PARLA_ERRORS(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "not a code of this library";
    }
}

const char *parla_error_detail(void) { return pl_error_has_detail ? detail : ""; }

PARLA_PRINTF(2, 0) static void set_detail(int code, const char *format, va_list arguments)
{
    char text[PL_ERROR_DETAIL_BYTES]; /* not `detail` at once: the arguments may point into that */
    size_t length = pl_text_format_v(text, sizeof text, format, arguments);
    memcpy(detail, text, length + 1);
    pl_error_has_detail = true;
    parla_log(PARLA_LOG_DEBUG, "%s: %s", parla_error_name(code), detail);
}

int pl_error_set(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_detail(code, format, arguments);
    va_end(arguments);
    return code;
}

int parla_error_set(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_detail(code, format, arguments);
    va_end(arguments);
    return code;
}
