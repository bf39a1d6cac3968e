/* error.c - MPI's error codes in this project's words, and what is wrong with an MPI that cannot be used. */
#include "error.h"

#include <parla/error.h>
#include <stdio.h>
#include <string.h>

void plm_error_words(int mpi_code, char *out, size_t capacity)
{
    char words[MPI_MAX_ERROR_STRING + 1];
    int length = 0;
    if (MPI_Error_string(mpi_code, words, &length) != MPI_SUCCESS)
        snprintf(out, capacity, "MPI error %d", mpi_code);
    else
        snprintf(out, capacity, "%.*s", length, words);
}

int plm_error_set(int mpi_code, const char *what)
{
    if (mpi_code == MPI_SUCCESS)
        return 0;
    char words[MPI_MAX_ERROR_STRING + 1];
    plm_error_words(mpi_code, words, sizeof words);
    return parla_error_set(PARLA_E_TRANSPORT, "%s: %s", what, words);
}

int plm_check_running(const char *what)
{
    int is_initialized = 0, is_finalized = 0;
    MPI_Initialized(&is_initialized);
    MPI_Finalized(&is_finalized);
    if (is_finalized)
        return parla_error_set(PARLA_E_STATE, "%s: MPI was finalized already", what);
    if (!is_initialized)
        return parla_error_set(PARLA_E_STATE, "%s: MPI is not initialized: call parla_mpi_start or MPI_Init_thread first", what);
    return 0;
}

static const char *level_name(int level)
{
    return level == MPI_THREAD_SINGLE       ? "MPI_THREAD_SINGLE"
           : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
           : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
                                            : "MPI_THREAD_MULTIPLE";
}

/* The first line of what MPI says of itself. */
static void library_name(char *out, size_t capacity)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    out[0] = '\0';
    if (MPI_Get_library_version(text, &length) == MPI_SUCCESS)
        snprintf(out, capacity, "%.*s", (int)strcspn(text, ",\n"), text);
}

int plm_check_threads(int provided, int *out_is_serialized)
{
    char library[128];
    *out_is_serialized = provided == MPI_THREAD_SERIALIZED;
    if (provided >= MPI_THREAD_SERIALIZED)
        return 0;
    library_name(library, sizeof library);
    return parla_error_set(
        PARLA_E_UNSUPPORTED,
        "MPI (%s) runs with %s, but workers call it from several threads: start it with parla_mpi_start, or with "
        "MPI_Init_thread asking for MPI_THREAD_MULTIPLE (MPI_Init does not ask; mpi4py does unless mpi4py.rc.thread_level says "
        "otherwise). If that was asked for, this build of MPI was made without support for threads",
        library, level_name(provided));
}
