/* spec.c - the parser of device strings.
 *
 *   string  = "" | "auto" | part { "," part }
 *   part    = kind [ ":" number ] | option "=" value             an option belongs to the devices of the part before it
 *
 * A kind that has as many devices as are asked for (its probe says INT_MAX: sim) takes a count; any other takes the index of one of
 * its devices, and means all of them without one. Spaces between parts are allowed. Each error says what was found, where, and what is
 * taken; characters are counted from 1. Only reads its arguments and the registry: any thread, no locks. */
#include "device/spec.h"

#include "base/error.h"
#include "device/backends.h"
#include "device/module.h"
#include "device/quantity.h"

#include <limits.h>
#include <string.h>

#define KIND_BYTES 24
#define LIST_BYTES 256
#define LARGEST 4e18 /* of a quantity; fits into 63 bits */

typedef enum option {
    OPTION_NONE,
    OPTION_MEM,
    OPTION_LINK,
    OPTION_LAT,
    OPTION_TIME,
    OPTION_FAIL_ALLOC,
    OPTION_FAIL_COPY,
    OPTION_LATE,
    OPTION_LOST
} option;

typedef struct parser {
    const char *text;
    const char *at;
    pl_spec spec;
    int i_part;                    /* first device of the part that options belong to; spec.n if it named none yet */
    int n_of_kind;                 /* simulated devices so far */
    bool has_cpu;                  /* named in the string */
    bool has_device;               /* some part was a device, so options may follow */
    bool has_time[PL_MAX_DEVICES]; /* time= was given for it … */
    int n_virtual;                 /* … and was virtual for so many */
} parser;

const char *parla_devices_grammar(void)
{
    return "\"auto\" (every real GPU, else the CPU alone), or a list joined by commas of: cpu (always there, as device 0); sim or sim:COUNT "
           "(simulated GPUs); another kind, such as cuda (all its devices) or cuda:INDEX (one of them). A device may be followed by "
           "options: mem=SIZE (memory limit, such as 512MiB or 1.5GB), and for sim link=SIZE/s (bandwidth, such as 20GB/s), "
           "lat=TIME (latency, such as 5us), time=virtual (modelled time, for all devices or none), and faults: failalloc=N and failcopy=N "
           "(the N-th allocation or copy of each device fails), late=N/TIME (the N-th copy takes so much longer), lost=N (the N-th "
           "allocation, copy or body and all later ones fail). Examples: \"cpu\", \"sim:2\", "
           "\"sim:4,mem=1GiB,link=20GB/s,lat=5us\", \"sim:4,link=20GB/s,time=virtual\", \"cuda:0,cuda:0\"";
}

static int malformed(const parser *p, const char *at, const char *what)
{
    int n = (int)strcspn(at, ",");
    if (*at == '\0')
        return pl_error_set(PARLA_E_CONFIG, "devices \"%s\": %s at the end; expected %s", p->text, what, parla_devices_grammar());
    return pl_error_set(PARLA_E_CONFIG, "devices \"%s\": %s at character %d, found \"%.*s\"; expected %s", p->text, what,
                        (int)(at - p->text) + 1, n > 0 ? n : 1, at, parla_devices_grammar());
}

static void skip_spaces(parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

static bool is_end_of_word(char c) { return c == '\0' || c == ',' || c == ' ' || c == '\t'; }

static bool is_word(const char *word, size_t length, const char *expected)
{
    return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

static int add_device(parser *p, const parla_backend *backend, int ordinal)
{
    if (p->spec.n == PL_MAX_DEVICES)
        return pl_error_set(PARLA_E_CONFIG, "devices \"%s\": more than %d devices, the CPU included", p->text, PL_MAX_DEVICES);
    p->spec.items[p->spec.n++] = (pl_spec_item){backend, {.kind = backend->kind, .ordinal = ordinal}};
    return 0;
}

static int no_such_kind(const parser *p, int length, const char *kind)
{
    char kinds[LIST_BYTES];
    char name[KIND_BYTES] = {0};
    if (length < KIND_BYTES)
        memcpy(name, kind, (size_t)length);
    const char *reason = pl_module_reason(name);
    pl_backend_list(kinds, sizeof kinds);
    return pl_error_set(PARLA_E_NO_DEVICE,
                        "devices \"%s\": there are no devices of kind \"%.*s\" at character %d%s%s; this process knows: %s",
                        p->text, length, kind, (int)(kind - p->text) + 1, *reason ? ": " : "", reason, kinds);
}

static int no_such_index(const parser *p, const parla_backend *backend, int index, int n)
{
    if (n <= 0)
        return pl_error_set(PARLA_E_NO_DEVICE, "devices \"%s\": this machine has no device of kind %s", p->text, backend->kind);
    return pl_error_set(PARLA_E_NO_DEVICE, "devices \"%s\": there is no %s:%d; this machine has %s:0 to %s:%d", p->text,
                        backend->kind, index, backend->kind, backend->kind, n - 1);
}

/* The devices of one part: `number` is what followed the colon, or -1. */
static int add_part(parser *p, const parla_backend *backend, int number)
{
    int n = backend->probe(), rc = 0;
    bool is_counted = n == INT_MAX;
    p->i_part = p->spec.n;
    if (!is_counted && (n <= 0 || number >= n))
        return no_such_index(p, backend, number, n);
    if (!is_counted && number >= 0)
        return add_device(p, backend, number);
    int count = !is_counted ? n : number < 0 ? 1 : number;
    for (int i = 0; i < count && rc == 0; i++)
        rc = add_device(p, backend, is_counted ? p->n_of_kind++ : i);
    return rc;
}

/* Reads ":" and digits. *out is -1 if there is no colon. */
static int read_number(parser *p, int *out)
{
    *out = -1;
    if (*p->at != ':')
        return 0;
    const char *begin = ++p->at;
    int value = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        value = value < 100000 ? value * 10 + (*p->at - '0') : value; /* larger than anything that exists */
    if (p->at == begin || !is_end_of_word(*p->at))
        return malformed(p, begin, "a whole number is missing");
    *out = value;
    return 0;
}

static int read_cpu(parser *p, const char *begin, int number)
{
    if (p->has_cpu)
        return malformed(p, begin, "the CPU is named twice");
    if (number > 0)
        return no_such_index(p, &pl_backend_cpu, number, 1);
    p->has_cpu = true;
    p->i_part = 0; /* it stands in the list already */
    return 0;
}

static int read_device(parser *p, const char *begin, size_t length)
{
    if (is_word(begin, length, "auto"))
        return malformed(p, begin, "\"auto\" does not go with other devices");
    char kind[KIND_BYTES] = {0};
    if (length < sizeof kind)
        memcpy(kind, begin, length);
    const parla_backend *backend = parla_backend_find(kind);
    if (!backend)
        return no_such_kind(p, (int)length, begin);
    if (*p->at != ':' && !is_end_of_word(*p->at))
        return malformed(p, p->at, "a colon or a comma is missing");
    int number, rc = read_number(p, &number);
    if (rc < 0)
        return rc;
    p->has_device = true;
    if (backend == &pl_backend_cpu)
        return read_cpu(p, begin, number);
    if (number == 0 && backend->probe() == INT_MAX)
        return malformed(p, begin, "a count must be at least 1");
    return add_part(p, backend, number);
}

static bool is_set(const parla_device_spec *spec, option which)
{
    return which == OPTION_MEM    ? spec->memory_bytes > 0
           : which == OPTION_LINK ? spec->link_bytes_per_s > 0
                                  : spec->link_latency_ns > 0;
}

/* Sets an option of every device of the part that it belongs to. Each may be given once. */
static int set_option(parser *p, const char *begin, const char *value, option which, double quantity)
{
    int last = p->i_part == 0 ? 0 : p->spec.n - 1;
    for (int i = p->i_part; i <= last; i++) {
        parla_device_spec *spec = &p->spec.items[i].spec;
        if (which != OPTION_MEM && p->spec.items[i].backend->probe() != INT_MAX)
            return malformed(p, begin, "an option of simulated devices only");
        if (is_set(spec, which))
            return malformed(p, begin, "an option is given twice");
        if (quantity > LARGEST || (which != OPTION_LAT && quantity < 1))
            return malformed(p, value, "a quantity is out of range");
        if (which == OPTION_MEM)
            spec->memory_bytes = (size_t)quantity;
        else if (which == OPTION_LINK)
            spec->link_bytes_per_s = quantity;
        else
            spec->link_latency_ns = (int64_t)quantity;
    }
    return 0;
}

static option find_option(const char *word, size_t length)
{
    static const char *const names[] = {
        [OPTION_MEM] = "mem",
        [OPTION_LINK] = "link",
        [OPTION_LAT] = "lat",
        [OPTION_TIME] = "time",
        [OPTION_FAIL_ALLOC] = "failalloc",
        [OPTION_FAIL_COPY] = "failcopy",
        [OPTION_LATE] = "late",
        [OPTION_LOST] = "lost",
    };
    for (option which = OPTION_MEM; which <= OPTION_LOST; which++)
        if (is_word(word, length, names[which]))
            return which;
    return OPTION_NONE;
}

/* Reads "virtual" or "real". */
static int read_time(parser *p, const char *begin)
{
    const char *value = p->at;
    size_t length = strcspn(value, ", \t");
    bool is_virtual = is_word(value, length, "virtual");
    if (!is_virtual && !is_word(value, length, "real"))
        return malformed(p, value, "\"virtual\" or \"real\" is missing");
    p->at += length;
    int last = p->i_part == 0 ? 0 : p->spec.n - 1;
    for (int i = p->i_part; i <= last; i++) {
        if (p->spec.items[i].backend->probe() != INT_MAX)
            return malformed(p, begin, "an option of simulated devices only");
        if (p->has_time[i])
            return malformed(p, begin, "an option is given twice");
        p->has_time[i] = true;
        p->n_virtual += is_virtual;
    }
    return 0;
}

static int64_t *fault_of(parla_device_spec *spec, option which)
{
    return which == OPTION_FAIL_ALLOC  ? &spec->fail_alloc_n
           : which == OPTION_FAIL_COPY ? &spec->fail_copy_n
           : which == OPTION_LATE      ? &spec->late_copy_n
                                       : &spec->lost_n;
}

static int set_fault(parser *p, const char *begin, option which, int64_t n, int64_t late_ns)
{
    int last = p->i_part == 0 ? 0 : p->spec.n - 1;
    for (int i = p->i_part; i <= last; i++) {
        parla_device_spec *spec = &p->spec.items[i].spec;
        if (p->spec.items[i].backend->probe() != INT_MAX)
            return malformed(p, begin, "an option of simulated devices only");
        if (*fault_of(spec, which) != 0)
            return malformed(p, begin, "an option is given twice");
        *fault_of(spec, which) = n;
        if (which == OPTION_LATE)
            spec->late_ns = late_ns;
    }
    return 0;
}

/* Reads a number from 1 and, for OPTION_LATE, "/" and a time. */
static int read_fault(parser *p, const char *begin, option which)
{
    const char *value = p->at, *end;
    double late_ns = 0;
    int64_t n = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        n = n < INT32_MAX ? n * 10 + (*p->at - '0') : n;
    if (n == 0)
        return malformed(p, value, "a number from 1 is missing");
    if (which == OPTION_LATE) {
        end = *p->at == '/' ? pl_quantity_read(p->at + 1, pl_units_ns, &late_ns) : NULL;
        if (!end || late_ns > LARGEST)
            return malformed(p, p->at, "a slash and a time are missing");
        p->at = end;
    }
    if (!is_end_of_word(*p->at))
        return malformed(p, p->at, "a comma is missing");
    return set_fault(p, begin, which, n, (int64_t)late_ns);
}

static int read_option(parser *p, const char *begin, size_t length)
{
    option which = find_option(begin, length);
    if (which == OPTION_NONE)
        return malformed(p, begin, "an option that does not exist");
    if (!p->has_device)
        return malformed(p, begin, "an option without a device before it");
    const char *value = ++p->at;
    double quantity;
    if (which == OPTION_TIME)
        return read_time(p, begin);
    if (which >= OPTION_FAIL_ALLOC)
        return read_fault(p, begin, which);
    const char *end = pl_quantity_read(value, which == OPTION_LAT ? pl_units_ns : pl_units_bytes, &quantity);
    if (end && which == OPTION_LINK && end[0] == '/' && end[1] == 's')
        end += 2;
    if (!end || !is_end_of_word(*end))
        return malformed(p, value, which == OPTION_LAT ? "a time is missing" : "a size is missing");
    p->at = end;
    return set_option(p, begin, value, which, quantity);
}

static int read_part(parser *p)
{
    skip_spaces(p);
    const char *begin = p->at;
    size_t length = strspn(begin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (length == 0)
        return malformed(p, begin, "a device or an option is missing");
    p->at += length;
    int rc = *p->at == '=' ? read_option(p, begin, length) : read_device(p, begin, length);
    if (rc < 0)
        return rc;
    skip_spaces(p);
    return *p->at == '\0' || *p->at == ',' ? 0 : malformed(p, p->at, "a comma is missing");
}

static int read_list(parser *p)
{
    int rc = read_part(p);
    while (rc == 0 && *p->at == ',') {
        p->at++;
        rc = read_part(p);
    }
    if (rc == 0 && p->n_virtual > 0 && p->n_virtual < p->spec.n - 1)
        return pl_error_set(
            PARLA_E_CONFIG,
            "devices \"%s\": time=virtual is given for %d of %d devices; there is one time for all, so give it to each "
            "part, and to no device that is not simulated",
            p->text, p->n_virtual, p->spec.n - 1);
    p->spec.is_virtual = p->n_virtual > 0;
    return rc;
}

/* Every device of every kind that has some of its own, in the order of registration. */
static int add_real_gpus(parser *p)
{
    const parla_backend *backend;
    pl_modules_open();
    for (int i = 0; (backend = pl_backend_at(i)) != NULL; i++) {
        int n = backend == &pl_backend_cpu ? 0 : backend->probe();
        int rc = n > 0 && n < INT_MAX ? add_part(p, backend, -1) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Devices that are the same one share it. */
static void count_sharing(pl_spec *spec)
{
    for (int i = 0; i < spec->n; i++)
        for (int k = 0; k < spec->n; k++)
            spec->items[i].spec.n_sharing +=
                spec->items[k].backend == spec->items[i].backend && spec->items[k].spec.ordinal == spec->items[i].spec.ordinal;
}

static bool is_auto(const char *text) { return strncmp(text, "auto", 4) == 0 && text[4 + strspn(text + 4, " \t")] == '\0'; }

int pl_spec_parse(pl_spec *out, const char *text)
{
    parser p = {.text = text ? text : ""};
    p.at = p.text;
    int rc = add_device(&p, &pl_backend_cpu, 0);
    skip_spaces(&p);
    if (rc == 0 && is_auto(p.at))
        rc = add_real_gpus(&p);
    else if (rc == 0 && *p.at != '\0')
        rc = read_list(&p);
    if (rc == 0) {
        count_sharing(&p.spec);
        *out = p.spec;
    }
    return rc;
}
