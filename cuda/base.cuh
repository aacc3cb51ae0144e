// What all kernels share. No CUDA headers: NVRTC then needs nothing but itself.
//
// Compiled with --fmad=false, without fast-math: denormals are kept, division and square root round
// correctly, and a product and a sum are contracted only where fmaf or fma is written. They are written
// in sums of many products (matrix rows, scores, mixtures), where a contraction only takes rounding
// errors away. Norms, angles, activations and probabilities are computed in f64 and rounded once, as the
// CPU backend does.
#pragma once

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;

// What changes from step to step, in device memory: one captured graph serves every position.
struct Step {
    int token;
    int position;
};

constexpr int WARP = 32;
constexpr uint32_t EVERYONE = 0xffffffffu;

__device__ inline float half_to_float(uint16_t bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// Rounds to nearest even, as the CPU backend does.
__device__ inline uint16_t float_to_half(float value) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// Blocks may begin at any even (MXFP4: any) byte.
__device__ inline uint16_t u16_at(const uint8_t* p) { return (uint16_t)(p[0] | p[1] << 8); }
__device__ inline float half_at(const uint8_t* p) { return half_to_float(u16_at(p)); }

template <typename T>
__device__ inline T warp_sum(T value) {
    for (int other = WARP / 2; other > 0; other /= 2) value += __shfl_xor_sync(EVERYONE, value, other);
    return value;
}

// NaN wins: a NaN score must reach the output.
__device__ inline double larger(double a, double b) { return b > a || b != b ? b : a; }

__device__ inline double warp_max(double value) {
    for (int other = WARP / 2; other > 0; other /= 2) {
        value = larger(value, __shfl_xor_sync(EVERYONE, value, other));
    }
    return value;
}

// Sum over the block, in a fixed order, known to every thread. `scratch`: one slot a warp; free again
// only after the next barrier.
__device__ inline double block_sum(double value, double* scratch) {
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    int warps = blockDim.x / WARP;
    value = threadIdx.x % WARP < warps ? scratch[threadIdx.x % WARP] : 0.0;
    return warp_sum(value);
}

__device__ inline double block_max(double value, double* scratch) {
    value = warp_max(value);
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    int warps = blockDim.x / WARP;
    value = scratch[threadIdx.x % WARP < warps ? threadIdx.x % WARP : 0];
    return warp_max(value);
}
