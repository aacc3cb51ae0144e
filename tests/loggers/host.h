/* What the hosts record. `tests/loggers.rs` has the same rules, so that it knows every bit. */
#ifndef HOST_H
#define HOST_H
#include <stdint.h>

enum { POSITIONS = 24, LAYERS = 4, VOCABULARY = 1000 };

/* Any bits at all, NaN with payloads and denormals among them. */
static inline uint32_t host_bits(uint32_t position, uint32_t tag, uint32_t channel) {
    uint32_t x = position * 1000003u + tag * 7919u + channel * 104729u + 1u;
    x *= 2654435761u;
    x ^= x >> 15;
    return x * 2246822519u;
}

/* A piece of broken UTF-8, controls, quotes and a NUL in the middle. */
#define HOST_PIECE "a\"\\\n\x01\xff\xe2\x82\0\xc3\xa9\xe6\xbc\xa2"
#define HOST_PIECE_LENGTH 14
#endif
