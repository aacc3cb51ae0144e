// Pieces that the decoders of packed weights share.
#pragma once

#include "base.cuh"

// `COUNT` words that begin at any byte of shared memory.
template <int COUNT>
__device__ inline void words_at(const uint8_t* p, uint32_t (&out)[COUNT]) {
    uint32_t skipped = (uint32_t)(uint64_t)p & 3;
    const uint32_t* aligned = (const uint32_t*)(p - skipped);
    uint32_t low = aligned[0];
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        uint32_t high = aligned[i + 1];  // perhaps a word too many: slots have room for it
        out[i] = __funnelshift_r(low, high, 8 * skipped);
        low = high;
    }
}

// Half `i` (0 or 1) of a word, as f32.
__device__ inline float half_of(uint32_t word, int i) { return half_to_float((uint16_t)(word >> 16 * i)); }

__device__ inline int byte_of(uint32_t word, int i) { return (int)(word >> 8 * i & 255); }
__device__ inline int signed_byte_of(uint32_t word, int i) { return (int)(word << (24 - 8 * i)) >> 24; }

// `bytes` − `offset` in each byte, as signed bytes; 0 ≤ byte < 64, 0 ≤ offset ≤ 64.
__device__ inline uint32_t bytes_less(uint32_t bytes, uint32_t offset) {
    return ((bytes | 0x80808080u) - offset * 0x01010101u) ^ 0x80808080u;
}

// Bits 0 … 3 of `bits` to bit 4 of bytes 0 … 3.
__device__ inline uint32_t fifth_bits(uint32_t bits) { return ((bits & 15) * 0x00204081u & 0x01010101u) << 4; }

// Sixteen bytes as a table: those that the four low nibbles of `nibbles` name, in order.
struct Table {
    uint32_t word[4];
    __device__ uint32_t four(uint32_t nibbles) const {
        uint32_t low3 = nibbles & 0x7777;
        uint32_t lower = __byte_perm(word[0], word[1], low3), upper = __byte_perm(word[2], word[3], low3);
        return __byte_perm(lower, upper, (nibbles & 0x8888) >> 1 | 0x3210);
    }
};
