/* links.h - how fast the links between devices are: as their backend says; else as their own copies have shown in this run; else as they had
 * shown in an earlier one on the same devices; else a guess.
 *
 * Each copy is a measurement: small ones tell the latency, all others the bandwidth. So a link is measured when it is used first, and
 * nothing is copied for the measurement alone. What was measured on devices that are not simulated is kept in a file of the user's cache,
 * $XDG_CACHE_HOME/parla or $HOME/.cache/parla, one for each list of devices (kinds, models and cards, in order). A file that cannot be read
 * or written, or that was spoilt, is as good as none; with XDG_CACHE_HOME=/dev/null nothing is kept. */
#ifndef PL_DEVICE_LINKS_H
#define PL_DEVICE_LINKS_H

#include "device/device.h"

/* Of a link of which nothing is known. */
#define PL_LINK_GUESSED_BYTES_PER_S 10e9
#define PL_LINK_GUESSED_LATENCY_NS 10e3

/* 0: not known. */
typedef struct pl_link_speed {
    double bytes_per_s, latency_ns;
} pl_link_speed;

/* A copy has ended: the link was busy with it for so long. */
void pl_link_count(pl_link *link, size_t n_bytes, uint64_t busy_ns);

/* Of one link, and of all links to a device together. */
pl_link_speed pl_links_speed(const pl_devices *devices, int i_src, int i_dst);
pl_link_speed pl_links_speed_to(const pl_devices *devices, int i_dst);

/* How long a copy of so many bytes takes across a link, at least 1. */
uint64_t pl_links_time_ns(const pl_devices *devices, int i_src, int i_dst, size_t n_bytes);

/* Once all devices are open: finds what an earlier run has kept. Before they are closed: keeps what this one has measured. */
void pl_links_recall(pl_devices *devices);
void pl_links_keep(const pl_devices *devices);

#endif
