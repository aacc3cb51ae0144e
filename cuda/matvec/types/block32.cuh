// Types of 32 values a block: a lane takes a block. Nibbles: values 0–15 low, 16–31 high.
#pragma once

#include "matvec/dot.cuh"
#include "matvec/fixed.cuh"

constexpr uint32_t NIBBLES = 0x0f0f0f0fu;

// Type: BYTES; `add(block, low, high, x, sum)`: the block's bytes at any alignment, its activations' halves.
template <class Type>
struct Block32Dot {
    using Block = Fixed;
    static constexpr int LEN = 32, BYTES = Type::BYTES, UNIT = 32;
    __device__ static void store(Fixed* x, int i, const float4& v, bool there) { store_fixed(x, i, v, there); }
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&rows)[ROWS], int lane, int left, const Fixed* x, int from,
                               float (&sum)[ROWS]) {
        if (lane * LEN >= left) return;
        const Fixed& block = x[from / LEN + lane];
        Sixteen low(block, 0), high(block, 1);
        float4 last = *(const float4*)&block.scale;  // scale and sums
#pragma unroll
        for (int r = 0; r < ROWS; r++) sum[r] = Type::add(rows[r] + lane * BYTES, low, high, last.x, last.y + last.z, sum[r]);
    }
};

struct Q8_0Block {
    static constexpr int BYTES = 34;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float, float sum) {
        uint32_t w[9];
        words_at(b, w);  // the values begin two bytes into the words
        Parts3 dot;
#pragma unroll
        for (int k = 0; k < 8; k++) (k < 4 ? low : high).add(dot, k % 4, __funnelshift_r(w[k], w[k + 1], 16));
        return fmaf(half_of(w[0], 0), dot.value() * scale, sum);
    }
};

// Σ of 32 nibbles times x, `fifth` being the word of fifth bits (0 for types without).
__device__ inline float nibbles_dot(const uint32_t* q, uint32_t fifth, const Sixteen& low, const Sixteen& high) {
    Parts3 dot;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        low.add(dot, k, q[k] & NIBBLES | fifth_bits(fifth >> 4 * k));
        high.add(dot, k, q[k] >> 4 & NIBBLES | fifth_bits(fifth >> (16 + 4 * k)));
    }
    return dot.value();
}

struct Q4_0Block {
    static constexpr int BYTES = 18;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float all, float sum) {
        uint32_t w[5], q[4];
        words_at(b, w);
#pragma unroll
        for (int k = 0; k < 4; k++) q[k] = __funnelshift_r(w[k], w[k + 1], 16);
        return fmaf(half_of(w[0], 0), fmaf(nibbles_dot(q, 0, low, high), scale, -8.0f * all), sum);
    }
};

struct Q4_1Block {
    static constexpr int BYTES = 20;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float all, float sum) {
        uint32_t w[5];
        words_at(b, w);
        sum = fmaf(half_of(w[0], 0), nibbles_dot(w + 1, 0, low, high) * scale, sum);
        return fmaf(half_of(w[0], 1), all, sum);
    }
};

struct Q5_0Block {
    static constexpr int BYTES = 22;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float all, float sum) {
        uint32_t w[6], q[5];
        words_at(b, w);
#pragma unroll
        for (int k = 0; k < 5; k++) q[k] = __funnelshift_r(w[k], w[k + 1], 16);
        return fmaf(half_of(w[0], 0), fmaf(nibbles_dot(q + 1, q[0], low, high), scale, -16.0f * all), sum);
    }
};

struct Q5_1Block {
    static constexpr int BYTES = 24;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float all, float sum) {
        uint32_t w[6];
        words_at(b, w);
        sum = fmaf(half_of(w[0], 0), nibbles_dot(w + 2, w[1], low, high) * scale, sum);
        return fmaf(half_of(w[0], 1), all, sum);
    }
};

// Values that nibbles name in a table of signed bytes.
__device__ inline float table_dot(const uint32_t* q, const Table& table, const Sixteen& low, const Sixteen& high) {
    Parts3 dot;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        // Values by nibble: low and high of byte 0, of byte 1, …
        uint32_t first = table.four(q[k]), second = table.four(q[k] >> 16);
        low.add(dot, k, __byte_perm(first, second, 0x6420));
        high.add(dot, k, __byte_perm(first, second, 0x7531));
    }
    return dot.value();
}

// −127 −104 −83 −65 −49 −35 −22 −10 1 13 25 38 53 69 89 113
__device__ inline Table iq4_table() { return {{0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u}}; }
// 0 1 2 3 4 6 8 12 and their negatives: twice the values of E2M1, as the scale is half of the usual one.
__device__ inline Table e2m1_table() { return {{0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu}}; }

struct IQ4_NLBlock {
    static constexpr int BYTES = 18;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float, float sum) {
        uint32_t w[5], q[4];
        words_at(b, w);
#pragma unroll
        for (int k = 0; k < 4; k++) q[k] = __funnelshift_r(w[k], w[k + 1], 16);
        return fmaf(half_of(w[0], 0), table_dot(q, iq4_table(), low, high) * scale, sum);
    }
};

struct MXFP4Block {
    static constexpr int BYTES = 17;
    __device__ static float add(const uint8_t* b, const Sixteen& low, const Sixteen& high, float scale, float, float sum) {
        uint32_t q[4], e = *b;
        words_at(b + 1, q);
        // 2^(e − 128); the two smallest are denormal.
        float d = __uint_as_float(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        return fmaf(d, table_dot(q, e2m1_table(), low, high) * scale, sum);
    }
};

using Q8_0Dot = Block32Dot<Q8_0Block>;
using Q4_0Dot = Block32Dot<Q4_0Block>;
using Q4_1Dot = Block32Dot<Q4_1Block>;
using Q5_0Dot = Block32Dot<Q5_0Block>;
using Q5_1Dot = Block32Dot<Q5_1Block>;
using IQ4_NLDot = Block32Dot<IQ4_NLBlock>;
using MXFP4Dot = Block32Dot<MXFP4Block>;
