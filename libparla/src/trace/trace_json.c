/* trace_json.c - a trace as Chrome trace-event JSON, which Perfetto and chrome://tracing open.
 *
 * Metadata events name the process (rank) and its lines, "X" events are spans, and each arrow is a pair of flow events: "s"
 * inside the end of one span, "f" at the start of another. Times are microseconds with three digits, so no nanosecond is lost.
 * The document goes to a temporary file that takes the place of `path` in one step: a reader never sees half of it. The trace's
 * lock is held throughout, which delays only starts and threads that record for the first time. */
#include "base/error.h"
#include "trace/picture.h"

#include <parla/log.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct writer {
    FILE *file;
    const pl_picture *picture;
    uint64_t start_ns;
    int64_t ahead_ns;
    uint64_t error_ns;
    int rank;
    bool has_event; /* an event was written: the next needs a comma */
} writer;

static const char *const kind_names[] = {[PL_TRACE_TASK] = "task",
                                         [PL_TRACE_COPY] = "copy",
                                         [PL_TRACE_IDLE] = "idle",
                                         [PL_TRACE_PHASE] = "phase",
                                         [PL_TRACE_MESSAGE] = "message"};

/* Length of the valid UTF-8 sequence at `text`, or 0. Overlong forms, surrogates and numbers above 0x10FFFF are not valid. */
static size_t utf8_length(const unsigned char *text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (text[0] < 0x80) {
        return 1;
    }
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC0 || text[0] > 0xF7) {
        return 0;
    }
    uint32_t letter = text[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
        letter = letter << 6 | (text[i] & 0x3F);
    }
    bool is_letter = letter >= smallest[length] && letter <= 0x10FFFF && (letter < 0xD800 || letter > 0xDFFF);
    return is_letter ? length : 0;
}

/* A JSON string; bytes that are no UTF-8 become U+FFFD. */
static void put_string(FILE *file, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    fputc('"', file);
    while (*p != '\0') {
        size_t length = utf8_length(p);
        if (length == 0) {
            fputs("\\ufffd", file);
            length = 1;
        } else if (*p == '"' || *p == '\\') {
            fprintf(file, "\\%c", *p);
        } else if (*p < ' ') {
            fprintf(file, "\\u%04x", *p);
        } else {
            fwrite(p, 1, length, file);
        }
        p += length;
    }
    fputc('"', file);
}

/* Opens an event with the members that all have; the caller adds more and closes it. */
static void begin_event(writer *out, char phase, uint32_t line, const char *name)
{
    fprintf(out->file, "%s\n{\"ph\":\"%c\",\"pid\":%d,\"tid\":%" PRIu32 ",\"name\":", out->has_event ? "," : "", phase, out->rank,
            line);
    put_string(out->file, name);
    out->has_event = true;
}

static void put_us(FILE *file, const char *member, uint64_t ns)
{
    fprintf(file, ",\"%s\":%" PRIu64 ".%03u", member, ns / 1000, (unsigned)(ns % 1000));
}

/* Spans that were under way at the start are cut there. */
static uint64_t since_start(const writer *out, uint64_t t_ns) { return t_ns > out->start_ns ? t_ns - out->start_ns : 0; }

static void put_line_names(writer *out, const pl_picture_row *row)
{
    for (uint32_t lane = 0; lane < row->n_lanes; lane++) {
        char name[PL_ROW_NAME_BYTES + 32];
        char number[16] = "";
        if (lane > 0) {
            snprintf(number, sizeof number, " (%" PRIu32 ")", lane + 1);
        }
        snprintf(name, sizeof name, "%s%s", row->row->name, number);
        begin_event(out, 'M', row->first_line + lane, "thread_name");
        fputs(",\"args\":{\"name\":", out->file);
        put_string(out->file, name);
        fputs("}}", out->file);
        begin_event(out, 'M', row->first_line + lane, "thread_sort_index");
        fprintf(out->file, ",\"args\":{\"sort_index\":%" PRIu32 "}}", row->first_line + lane);
    }
}

static void put_span(writer *out, const pl_picture_span *span)
{
    const pl_trace_record *record = span->record;
    uint64_t t0_ns = since_start(out, record->t0_ns);
    uint64_t t1_ns = since_start(out, record->t1_ns);
    const char *kind = kind_names[record->kind];
    begin_event(out, 'X', span->line, record->name[0] != '\0' ? record->name : kind);
    put_us(out->file, "ts", t0_ns);
    put_us(out->file, "dur", t1_ns > t0_ns ? t1_ns - t0_ns : 0);
    fprintf(out->file, ",\"cat\":\"%s\",\"args\":{", kind);
    const char *comma = "";
    if (record->kind == PL_TRACE_TASK || record->kind == PL_TRACE_COPY || record->kind == PL_TRACE_MESSAGE) {
        fprintf(out->file, "\"task\":%" PRIu64, record->id);
        comma = ",";
    }
    if (record->i_device >= 0) {
        fprintf(out->file, "%s\"device\":%" PRId32, comma, record->i_device);
        comma = ",";
    }
    if (record->bytes > 0) {
        fprintf(out->file, "%s\"bytes\":%" PRIu64, comma, record->bytes);
    }
    fputs("}}", out->file);
}

/* One end of an arrow. The tail lies a nanosecond before its span's end, since a viewer binds it to the span that encloses it. */
static void put_arrow_end(writer *out, const pl_picture_span *span, size_t number, bool is_tail)
{
    uint64_t t0_ns = since_start(out, span->record->t0_ns);
    uint64_t t1_ns = since_start(out, span->record->t1_ns);
    begin_event(out, is_tail ? 's' : 'f', span->line, "after");
    put_us(out->file, "ts", is_tail && t1_ns > t0_ns ? t1_ns - 1 : t0_ns);
    fprintf(out->file, ",\"cat\":\"dependency\",\"id\":%zu,\"args\":{\"task\":%" PRIu64 "}%s}", number, span->record->id,
            is_tail ? "" : ",\"bp\":\"e\"");
}

static void put_document(writer *out)
{
    const pl_picture *picture = out->picture;
    fputs("{\"traceEvents\":[", out->file);
    begin_event(out, 'M', 0, "process_name");
    fprintf(out->file, ",\"args\":{\"name\":\"rank %d\"}}", out->rank);
    for (size_t i = 0; i < picture->n_rows; i++) {
        put_line_names(out, &picture->rows[i]);
    }
    for (size_t i = 0; i < picture->n_spans; i++) {
        put_span(out, &picture->spans[i]);
    }
    for (size_t i = 0; i < picture->n_arrows; i++) {
        put_arrow_end(out, &picture->spans[picture->arrows[i].from], i + 1, true);
        put_arrow_end(out, &picture->spans[picture->arrows[i].to], i + 1, false);
    }
    fprintf(out->file,
            "\n],\n\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"rank\":%d,\"start_ns\":%" PRIu64 ",\"clock_ahead_ns\":%" PRId64
            ",\"clock_error_ns\":%" PRIu64 ",\"dropped\":%" PRIu64 "}}\n",
            out->rank, out->start_ns, out->ahead_ns, out->error_ns, picture->n_dropped);
}

/* Writes the document into a file. The error tells of `path`, the name that the caller knows. */
static int write_document(writer *out, const char *file_name, const char *path)
{
    out->file = fopen(file_name, "we");
    if (out->file == NULL) {
        return pl_error_set(PARLA_E_SYSTEM, "cannot write the trace to %s: %s", path, strerror(errno));
    }
    put_document(out);
    bool is_written = fflush(out->file) == 0 && ferror(out->file) == 0;
    int reason = errno;
    fclose(out->file);
    return is_written ? 0 : pl_error_set(PARLA_E_SYSTEM, "cannot write the trace to %s: %s", path, strerror(reason));
}

/* A device or a pipe (/dev/null, /dev/stdout) is written to; renaming a file over it would take its place. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

/* The temporary name differs from those of other traces and processes that write to the same path. */
static int write_file(writer *out, uint64_t serial, const char *path)
{
    char *temporary;
    if (is_special(path)) {
        return write_document(out, path, path);
    }
    if (asprintf(&temporary, "%s.%ld-%" PRIu64 ".tmp", path, (long)getpid(), serial) < 0) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for a file name");
    }
    int code = write_document(out, temporary, path);
    if (code == 0 && rename(temporary, path) != 0) {
        code = pl_error_set(PARLA_E_SYSTEM, "cannot write the trace to %s: %s", path, strerror(errno));
    }
    if (code != 0) {
        unlink(temporary);
    }
    free(temporary);
    return code;
}

static int write_picture(const pl_trace *trace, const pl_picture *picture, const char *path, int rank)
{
    if (picture->n_spans == 0) {
        return pl_error_set(PARLA_E_STATE, "nothing was recorded; start the trace before the work");
    }
    if (picture->n_dropped > 0) {
        parla_log(PARLA_LOG_WARN, "the trace lacks %" PRIu64 " records: each thread keeps its first %u, as far as there is memory",
                  picture->n_dropped, PL_ROW_LIMIT);
    }
    writer out = {
        .picture = picture, .start_ns = trace->start_ns, .ahead_ns = trace->ahead_ns, .error_ns = trace->error_ns, .rank = rank};
    return write_file(&out, trace->serial, path);
}

int pl_trace_json(pl_trace *trace, const char *path, int rank)
{
    pl_picture picture;
    pthread_mutex_lock(&trace->lock);
    int code = pl_picture_init(&picture, trace);
    if (code == 0) {
        code = write_picture(trace, &picture, path, rank);
        pl_picture_fini(&picture);
    }
    pthread_mutex_unlock(&trace->lock);
    return code;
}
