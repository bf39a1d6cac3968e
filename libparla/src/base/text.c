/* text.c - bounded formatting with a visible mark where a text was cut. Pure functions: any thread, no locks. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char cut_mark[] = "…";

/* Marks a text that fills its buffer, without leaving half of a UTF-8 character before the mark. */
static size_t mark_cut(char *text, size_t capacity)
{
    size_t end = capacity - sizeof cut_mark;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) {
        end--;
    }
    memcpy(text + end, cut_mark, sizeof cut_mark);
    return end + sizeof cut_mark - 1;
}

size_t pl_text_format_v(char *out, size_t capacity, const char *format, va_list arguments)
{
    int length = vsnprintf(out, capacity, format, arguments);
    if (length < 0) {
        out[0] = '\0';
        return 0;
    }
    return (size_t)length < capacity ? (size_t)length : mark_cut(out, capacity);
}

size_t pl_text_format(char *out, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = pl_text_format_v(out, capacity, format, arguments);
    va_end(arguments);
    return length;
}
