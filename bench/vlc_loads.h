/* vlc_loads.h - what bench_vlc runs twice at once. */
#ifndef PARLA_BENCH_VLC_LOADS_H
#define PARLA_BENCH_VLC_LOADS_H

#include <stdbool.h>

enum { BENCH_PATH = 160 };

/* The path of a library below the system's folder of libraries ("libarpack.so.2"). Returns false if it is not installed. */
bool bench_find_library(const char *name, char out[BENCH_PATH]);

/* Measures each load that was asked for and whose library is there, in all arrangements (vlc_agents.h). */
void bench_loads(void);

#endif
