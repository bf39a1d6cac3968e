/* hash.h - one step of a 64-bit hash, for values that are compared and cached. */
#ifndef CX_HASH_H
#define CX_HASH_H

#include <stdint.h>

/* Takes one more number into a hash. */
static inline uint64_t cx_hash_mix(uint64_t hash, uint64_t value)
{
    uint64_t x = hash ^ (value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6) + (hash >> 2));
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

#endif
