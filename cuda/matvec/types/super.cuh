// Types of 256 values a block: four lanes share a block, 64 values each.
//
// Lanes of odd blocks take their pieces in another order, so that the eight lanes that read at once hit
// different banks; the sums are of integers, to which order is nothing.
#pragma once

#include "matvec/types/block32.cuh"

// Type: BYTES; `add(blocks of ROWS rows, part 0 … 3, odd, x of the block, sums)`.
template <class Type>
struct SuperDot {
    using Block = Fixed;
    static constexpr int LEN = 256, BYTES = Type::BYTES, UNIT = 64;
    __device__ static void store(Fixed* x, int i, const float4& v, bool there) { store_fixed(x, i, v, there); }
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&rows)[ROWS], int lane, int left, const Fixed* x, int from,
                               float (&sum)[ROWS]) {
        int block = lane / 4;
        if (block * LEN >= left) return;
        const uint8_t* blocks[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) blocks[r] = rows[r] + block * BYTES;
        Type::template add<ROWS>(blocks, lane % 4, block % 2, x + from / 32 + 8 * block, sum);
    }
};

// Scales and minima (6 bits each) of groups 2·pair and 2·pair + 1, from the 12 packed bytes.
__device__ inline void pair_scales(const uint4& header, int pair, uint32_t* scales, uint32_t* mins) {
    int shift = 16 * (pair & 1);
    uint32_t s = header.y >> shift, m = header.z >> shift, both = header.w >> shift;
    *scales = pair < 2 ? s & 0x3f3f : both & 0x0f0f | s >> 2 & 0x3030;
    *mins = pair < 2 ? m & 0x3f3f : both >> 4 & 0x0f0f | m >> 2 & 0x3030;
}

// Q4_K, Q5_K: part p has 32 bytes of nibbles, low ones being group 2p, high ones group 2p + 1.
template <int SIZE, bool FIFTH>
struct NibbleBlock {
    static constexpr int BYTES = SIZE;
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&b)[ROWS], int part, int odd, const Fixed* x, float (&sum)[ROWS]) {
        x += 2 * part;
        Parts3 low[ROWS], high[ROWS];
#pragma unroll
        for (int turn = 0; turn < 2; turn++) {
            int half = turn ^ odd;
            Sixteen x_low(x[0], half), x_high(x[1], half);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                uint4 q4 = *(const uint4*)(b[r] + (FIFTH ? 48 : 16) + 32 * part + 16 * half), f4{};
                if constexpr (FIFTH) f4 = *(const uint4*)(b[r] + 16 + 16 * half);
                const uint32_t q[4] = {q4.x, q4.y, q4.z, q4.w}, fifth[4] = {f4.x, f4.y, f4.z, f4.w};
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    uint32_t below = q[k] & NIBBLES, above = q[k] >> 4 & NIBBLES;
                    if constexpr (FIFTH) {
                        uint32_t f = fifth[k] >> 2 * part;
                        below |= (f & 0x01010101u) << 4;
                        above |= (f & 0x02020202u) << 3;
                    }
                    x_low.add(low[r], k, below);
                    x_high.add(high[r], k, above);
                }
            }
        }
        float4 last_low = *(const float4*)&x[0].scale, last_high = *(const float4*)&x[1].scale;
        float all_low = last_low.y + last_low.z, all_high = last_high.y + last_high.z;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            uint4 header = *(const uint4*)b[r];
            uint32_t scales, mins;
            pair_scales(header, part, &scales, &mins);
            float inner = (float)byte_of(scales, 0) * (low[r].value() * last_low.x);
            inner = fmaf((float)byte_of(scales, 1), high[r].value() * last_high.x, inner);
            float least = fmaf((float)byte_of(mins, 0), all_low, (float)byte_of(mins, 1) * all_high);
            sum[r] = fmaf(half_of(header.x, 0), inner, sum[r]);
            sum[r] = fmaf(-half_of(header.x, 1), least, sum[r]);
        }
    }
};

// Q6_K, Q2_K, Q3_K: part p has values 16·(p%2) … + 15 of each quarter (32 values) of half p/2 (128 values), so
// one group of 16 values with its scale in each quarter.
struct QuarterBlock {
    // Four bytes, 2 apart, of the eight at p (a scale a group): this part's, one a quarter.
    __device__ static uint32_t groups(const uint8_t* p, int part) {
        uint32_t w[2];
        words_at(p, w);
        return __byte_perm(w[0], w[1], part % 2 ? 0x7531 : 0x6420);
    }
};

struct Q6_KBlock : QuarterBlock {
    static constexpr int BYTES = 210;
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&b)[ROWS], int part, int odd, const Fixed* x, float (&sum)[ROWS]) {
        int half = part / 2, at = 16 * (part % 2);
        uint32_t first[ROWS][4], second[ROWS][4], upper[ROWS][4], scales[ROWS];
        float inner[ROWS] = {};
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            words_at(b[r] + 64 * half + at, first[r]);
            words_at(b[r] + 64 * half + 32 + at, second[r]);
            words_at(b[r] + 128 + 32 * half + at, upper[r]);
            scales[r] = groups(b[r] + 192 + 8 * half, part);
        }
#pragma unroll
        for (int turn = 0; turn < 4; turn++) {
            int quarter = turn ^ 2 * odd;
            const Fixed& block = x[4 * half + quarter];
            Sixteen values(block, part % 2);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                Parts3 dot;
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    uint32_t low = (turn % 2 ? second[r][k] : first[r][k]) >> 2 * (quarter & 2) & NIBBLES;
                    uint32_t high = upper[r][k] >> 2 * quarter & 0x03030303u;
                    values.add(dot, k, bytes_less(low | high << 4, 32));
                }
                int scale = (int)(scales[r] >> 8 * quarter << 24) >> 24;
                inner[r] = fmaf((float)scale, dot.value() * block.scale, inner[r]);
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            uint32_t d[1];
            words_at(b[r] + 208, d);
            sum[r] = fmaf(half_of(d[0], 0), inner[r], sum[r]);
        }
    }
};

struct Q2_KBlock : QuarterBlock {
    static constexpr int BYTES = 84;
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&b)[ROWS], int part, int odd, const Fixed* x, float (&sum)[ROWS]) {
        int half = part / 2, at = 16 * (part % 2);
        uint32_t q[ROWS][4], packed[ROWS];
        float inner[ROWS] = {}, least[ROWS] = {};
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            words_at(b[r] + 16 + 32 * half + at, q[r]);
            packed[r] = groups(b[r] + 8 * half, part);
        }
#pragma unroll
        for (int turn = 0; turn < 4; turn++) {
            int quarter = turn ^ 2 * odd;
            const Fixed& block = x[4 * half + quarter];
            Sixteen values(block, part % 2);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                Parts3 dot;
#pragma unroll
                for (int k = 0; k < 4; k++) values.add(dot, k, q[r][k] >> 2 * quarter & 0x03030303u);
                uint32_t both = packed[r] >> 8 * quarter;
                inner[r] = fmaf((float)(both & 15), dot.value() * block.scale, inner[r]);
                least[r] = fmaf((float)(both >> 4 & 15), block.sums[part % 2], least[r]);
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            uint32_t d[1];
            words_at(b[r] + 80, d);
            sum[r] = fmaf(half_of(d[0], 0), inner[r], sum[r]);
            sum[r] = fmaf(-half_of(d[0], 1), least[r], sum[r]);
        }
    }
};

struct Q3_KBlock : QuarterBlock {
    static constexpr int BYTES = 110;
    // Scale j (of 16 values) has four bits in nibble j/8 of byte j%8 and two in bits 2·(j/4) of byte 8 + j%4;
    // this part's are j = 8·half + 2·quarter + part%2. Less 32, signed bytes, one a quarter.
    __device__ static uint32_t scales(const uint8_t* b, int part) {
        uint32_t packed[3];
        words_at(b + 96, packed);
        int half = part / 2, pick = part % 2 ? 0x7531 : 0x6420;
        uint32_t low = __byte_perm(packed[0] >> 4 * half & NIBBLES, packed[1] >> 4 * half & NIBBLES, pick);
        uint32_t bits = packed[2] >> 4 * half;
        return bytes_less(low | __byte_perm(bits & 0x03030303u, bits >> 2 & 0x03030303u, pick) << 4, 32);
    }
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&b)[ROWS], int part, int odd, const Fixed* x, float (&sum)[ROWS]) {
        int half = part / 2, at = 16 * (part % 2);
        uint32_t q[ROWS][4], third[ROWS][4], s[ROWS];
        float inner[ROWS] = {};
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            words_at(b[r] + at, third[r]);
            words_at(b[r] + 32 + 32 * half + at, q[r]);
            s[r] = scales(b[r], part);
        }
#pragma unroll
        for (int turn = 0; turn < 4; turn++) {
            int quarter = turn ^ 2 * odd;
            const Fixed& block = x[4 * half + quarter];
            Sixteen values(block, part % 2);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                Parts3 dot;
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    uint32_t high = third[r][k] >> (4 * half + quarter) & 0x01010101u;
                    values.add(dot, k, bytes_less(q[r][k] >> 2 * quarter & 0x03030303u | high << 2, 4));
                }
                int scale = (int)(s[r] >> 8 * quarter << 24) >> 24;
                inner[r] = fmaf((float)scale, dot.value() * block.scale, inner[r]);
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            uint32_t d[1];
            words_at(b[r] + 108, d);
            sum[r] = fmaf(half_of(d[0], 0), inner[r], sum[r]);
        }
    }
};

// Part p has groups 2p and 2p + 1 of 32 values: sixteen bytes of nibbles each, low ones first.
struct IQ4_XSBlock {
    static constexpr int BYTES = 136;
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&b)[ROWS], int part, int odd, const Fixed* x, float (&sum)[ROWS]) {
#pragma unroll
        for (int turn = 0; turn < 2; turn++) {
            int group = 2 * part + (turn ^ odd);
            const Fixed& block = x[group];
            Sixteen low(block, 0), high(block, 1);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                uint32_t h[2], q[4];
                words_at(b[r], h);
                words_at(b[r] + 8 + 16 * group, q);
                int scale = (int)(h[1] >> 4 * group & 15 | (h[0] >> (16 + 2 * group) & 3) << 4) - 32;
                float step = half_of(h[0], 0) * (float)scale;
                sum[r] = fmaf(step, table_dot(q, iq4_table(), low, high) * block.scale, sum[r]);
            }
        }
    }
};

using Q4_KDot = SuperDot<NibbleBlock<144, false>>;
using Q5_KDot = SuperDot<NibbleBlock<176, true>>;
using Q6_KDot = SuperDot<Q6_KBlock>;
using Q2_KDot = SuperDot<Q2_KBlock>;
using Q3_KDot = SuperDot<Q3_KBlock>;
using IQ4_XSDot = SuperDot<IQ4_XSBlock>;
