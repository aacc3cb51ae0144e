// F32, F16, BF16: a lane takes 16 bytes, lanes side by side. Activations as f32.
#pragma once

#include "matvec/dot.cuh"

// Four unused floats follow every 32, so that lanes that read two float4 in turns hit different banks.
struct Floats {
    float x[36];
};

__device__ inline float4 floats_at(const Floats* x, int i) { return *(const float4*)(x[i / 32].x + i % 32); }

__device__ inline float dot4(const float4& w, const float4& x, float sum) {
    sum = fmaf(w.x, x.x, sum);
    sum = fmaf(w.y, x.y, sum);
    sum = fmaf(w.z, x.z, sum);
    return fmaf(w.w, x.w, sum);
}

// WIDEN: 16 bytes to the values they hold.
template <int SIZE, void (*WIDEN)(const uint4&, float4*)>
struct PlainDot {
    using Block = Floats;
    static constexpr int LEN = 1, BYTES = SIZE, EACH = 16 / SIZE, STEPS = 2, UNIT = STEPS * EACH;
    __device__ static void store(Floats* x, int i, const float4& v, bool there) {
        if (there) *(float4*)(x[i / 32].x + i % 32) = v;
    }
    template <int ROWS>
    __device__ static void add(const uint8_t* const (&rows)[ROWS], int lane, int left, const Floats* x, int from,
                               float (&sum)[ROWS]) {
#pragma unroll
        for (int step = 0; step < STEPS; step++) {
            int i = (step * WARP + lane) * EACH;
            if (i >= left) return;
            float4 a[EACH / 4], w[EACH / 4];
#pragma unroll
            for (int k = 0; k < EACH / 4; k++) a[k] = floats_at(x, from + i + 4 * k);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                WIDEN(*(const uint4*)(rows[r] + i * SIZE), w);
#pragma unroll
                for (int k = 0; k < EACH / 4; k++) sum[r] = dot4(w[k], a[k], sum[r]);
            }
        }
    }
};

__device__ inline void widen_f32(const uint4& v, float4* out) {
    out[0] = make_float4(__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w));
}
__device__ inline void widen_f16(const uint4& v, float4* out) {
    out[0] = make_float4(half_of(v.x, 0), half_of(v.x, 1), half_of(v.y, 0), half_of(v.y, 1));
    out[1] = make_float4(half_of(v.z, 0), half_of(v.z, 1), half_of(v.w, 0), half_of(v.w, 1));
}
__device__ inline void widen_bf16(const uint4& v, float4* out) {
    constexpr uint32_t HIGH = 0xffff0000u;
    out[0] = make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & HIGH), __uint_as_float(v.y << 16),
                         __uint_as_float(v.y & HIGH));
    out[1] = make_float4(__uint_as_float(v.z << 16), __uint_as_float(v.z & HIGH), __uint_as_float(v.w << 16),
                         __uint_as_float(v.w & HIGH));
}

using F32Dot = PlainDot<4, widen_f32>;
using F16Dot = PlainDot<2, widen_f16>;
using BF16Dot = PlainDot<2, widen_bf16>;
