// Weight blocks as GGUF stores them, widened to f32 bit for bit as src/gguf/quant does (the layouts are
// described there, one file a type). A type has
//   LEN, BYTES          values and bytes of a block (LEN is 1 for the plain types)
//   eight(b, k, out)    values 8k … 8k + 7 of the block at b (of the row at b, for plain types)
//   one(b, i)           value i of a row, plain types only
// For all of them a half times small integers is exact in f32; only subtracting a minimum rounds.
#pragma once

#include "base.cuh"

struct F32 {
    static constexpr int LEN = 1, BYTES = 4;
    __device__ static float one(const uint8_t* row, int i) { return ((const float*)row)[i]; }
    __device__ static void eight(const uint8_t* row, int k, float* out) {
        for (int i = 0; i < 8; i++) out[i] = one(row, 8 * k + i);
    }
};

struct F16 {
    static constexpr int LEN = 1, BYTES = 2;
    __device__ static float one(const uint8_t* row, int i) { return half_to_float(((const uint16_t*)row)[i]); }
    __device__ static void eight(const uint8_t* row, int k, float* out) {
        for (int i = 0; i < 8; i++) out[i] = one(row, 8 * k + i);
    }
};

struct BF16 {
    static constexpr int LEN = 1, BYTES = 2;
    __device__ static float one(const uint8_t* row, int i) {
        return __int_as_float((int)((uint32_t)((const uint16_t*)row)[i] << 16));
    }
    __device__ static void eight(const uint8_t* row, int k, float* out) {
        for (int i = 0; i < 8; i++) out[i] = one(row, 8 * k + i);
    }
};

struct Q8_0 {
    static constexpr int LEN = 32, BYTES = 34;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b);
        for (int i = 0; i < 8; i++) out[i] = (float)(int8_t)b[2 + 8 * k + i] * d;
    }
};

// The types of 32 values keep values 0–15 in low and 16–31 in high nibbles of the same bytes.
__device__ inline int nibble(const uint8_t* nibbles, int k, int i) {
    return nibbles[(k & 1) * 8 + i] >> (k >= 2 ? 4 : 0) & 15;
}

struct Q4_0 {
    static constexpr int LEN = 32, BYTES = 18;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b);
        for (int i = 0; i < 8; i++) out[i] = (float)(nibble(b + 2, k, i) - 8) * d;
    }
};

struct Q4_1 {
    static constexpr int LEN = 32, BYTES = 20;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b), m = half_at(b + 2);
        for (int i = 0; i < 8; i++) out[i] = (float)nibble(b + 4, k, i) * d + m;
    }
};

// Value 8k + i has fifth bit 8k + i of the word that starts at p.
__device__ inline int fifth_bit(const uint8_t* p, int k, int i) { return (p[k] >> i & 1) << 4; }

struct Q5_0 {
    static constexpr int LEN = 32, BYTES = 22;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b);
        for (int i = 0; i < 8; i++) out[i] = (float)((nibble(b + 6, k, i) | fifth_bit(b + 2, k, i)) - 16) * d;
    }
};

struct Q5_1 {
    static constexpr int LEN = 32, BYTES = 24;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b), m = half_at(b + 2);
        for (int i = 0; i < 8; i++) out[i] = (float)(nibble(b + 8, k, i) | fifth_bit(b + 4, k, i)) * d + m;
    }
};

struct Q2_K {
    static constexpr int LEN = 256, BYTES = 84;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b + 80), dmin = half_at(b + 82);
        int packed = b[k / 2], shift = k / 4 % 4 * 2;
        float scale = d * (float)(packed & 15), min = dmin * (float)(packed >> 4);
        const uint8_t* q = b + 16 + k / 16 * 32 + k % 4 * 8;
        for (int i = 0; i < 8; i++) out[i] = scale * (float)(q[i] >> shift & 3) - min;
    }
};

struct Q3_K {
    static constexpr int LEN = 256, BYTES = 110;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b + 108);
        int j = k / 2;  // group of 16
        const uint8_t* scales = b + 96;
        int scale = scales[j % 8] >> (j / 8 * 4) & 15 | (scales[8 + j % 4] >> (j / 4 * 2) & 3) << 4;
        float step = d * (float)(scale - 32);
        const uint8_t* low = b + 32 + k / 16 * 32 + k % 4 * 8;
        const uint8_t* high = b + k % 4 * 8;
        int shift = k / 4 % 4 * 2;
        for (int i = 0; i < 8; i++) {
            int q = low[i] >> shift & 3 | (high[i] >> (k / 4) & 1) << 2;
            out[i] = step * (float)(q - 4);
        }
    }
};

// Scale and minimum of group j of 32, as Q4_K and Q5_K pack them.
__device__ inline void k_scale(const uint8_t* packed, int j, float* scale, float* min) {
    int s, m;
    if (j < 4) {
        s = packed[j] & 63;
        m = packed[j + 4] & 63;
    } else {
        s = packed[j + 4] & 15 | packed[j - 4] >> 6 << 4;
        m = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
    }
    *scale = (float)s;
    *min = (float)m;
}

struct Q4_K {
    static constexpr int LEN = 256, BYTES = 144;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        int j = k / 4;
        float scale, min;
        k_scale(b + 4, j, &scale, &min);
        scale = half_at(b) * scale;
        min = half_at(b + 2) * min;
        const uint8_t* q = b + 16 + j / 2 * 32 + k % 4 * 8;
        for (int i = 0; i < 8; i++) out[i] = scale * (float)(q[i] >> (j & 1) * 4 & 15) - min;
    }
};

struct Q5_K {
    static constexpr int LEN = 256, BYTES = 176;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        int j = k / 4;
        float scale, min;
        k_scale(b + 4, j, &scale, &min);
        scale = half_at(b) * scale;
        min = half_at(b + 2) * min;
        const uint8_t* fifth = b + 16 + k % 4 * 8;
        const uint8_t* q = b + 48 + j / 2 * 32 + k % 4 * 8;
        for (int i = 0; i < 8; i++) {
            int value = q[i] >> (j & 1) * 4 & 15 | (fifth[i] >> j & 1) << 4;
            out[i] = scale * (float)value - min;
        }
    }
};

struct Q6_K {
    static constexpr int LEN = 256, BYTES = 210;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b + 208);
        float scale = d * (float)(int8_t)b[192 + k / 2];
        int quarter = k / 4 % 4, half = k / 16;  // of a half of 128 values
        const uint8_t* low = b + 64 * half + quarter % 2 * 32 + k % 4 * 8;
        const uint8_t* upper = b + 128 + 32 * half + k % 4 * 8;
        for (int i = 0; i < 8; i++) {
            int q = low[i] >> quarter / 2 * 4 & 15 | (upper[i] >> quarter * 2 & 3) << 4;
            out[i] = scale * (float)(q - 32);
        }
    }
};

__device__ constexpr int8_t IQ4_TABLE[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                             1,    13,   25,  38,  53,  69,  89,  113};

struct IQ4_NL {
    static constexpr int LEN = 32, BYTES = 18;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        float d = half_at(b);
        for (int i = 0; i < 8; i++) out[i] = d * (float)IQ4_TABLE[nibble(b + 2, k, i)];
    }
};

struct IQ4_XS {
    static constexpr int LEN = 256, BYTES = 136;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        int g = k / 4;
        int scale = b[4 + g / 2] >> g % 2 * 4 & 15 | (u16_at(b + 2) >> 2 * g & 3) << 4;
        float step = half_at(b) * (float)(scale - 32);
        for (int i = 0; i < 8; i++) out[i] = step * (float)IQ4_TABLE[nibble(b + 8 + 16 * g, k % 4, i)];
    }
};

__device__ constexpr int8_t E2M1_TABLE[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct MXFP4 {
    static constexpr int LEN = 32, BYTES = 17;
    __device__ static void eight(const uint8_t* b, int k, float* out) {
        // 2^(e - 128): the two smallest are denormal.
        uint32_t e = b[0];
        float d = __int_as_float((int)(e < 2 ? 0x00200000u << e : (e - 1) << 23));
        for (int i = 0; i < 8; i++) out[i] = (float)E2M1_TABLE[nibble(b + 1, k, i)] * d;
    }
};
