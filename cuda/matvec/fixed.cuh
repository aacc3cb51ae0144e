// Activations as integers, 32 to a block: q = x / 2^e rounded to 24 bits, e from the block's largest magnitude,
// so that products with packed weights are sums of integers, four in one instruction and exact. The step is
// 2^-23 of a power of two above the largest magnitude: what is rounded away is what an f32 sum would lose.
// A block with a value that is not finite has NaN for its scale.
#pragma once

#include "base.cuh"
#include "matvec/product.cuh"

// q = 65536·high + 256·mid + low, as four bytes a word. 112 bytes: neighbours lie in different banks.
struct __align__(16) Fixed {
    uint32_t high[8];  // signed bytes
    uint32_t mid[8];   // unsigned
    uint32_t low[8];   // unsigned
    float scale;       // x = q · scale
    float sums[2];     // of values 0–15 and 16–31
    float unused;
};

// Integer sums of weights times the three parts.
struct Parts3 {
    int high = 0, mid = 0, low = 0;
    // Σ w·q as f32; the sum of up to 64 products with bytes fits.
    __device__ float value() const { return fmaf((float)high, 65536.0f, fmaf((float)mid, 256.0f, (float)low)); }
};

__device__ inline int dot_su(uint32_t signed_bytes, uint32_t unsigned_bytes, int sum) {
    asm("dp4a.s32.u32 %0, %1, %2, %0;" : "+r"(sum) : "r"(signed_bytes), "r"(unsigned_bytes));
    return sum;
}
__device__ inline int dot_ss(uint32_t a, uint32_t b, int sum) {
    asm("dp4a.s32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

// Four weights (signed bytes) times four activations.
__device__ inline void dot4(Parts3& sum, uint32_t weights, uint32_t high, uint32_t mid, uint32_t low) {
    sum.high = dot_ss(weights, high, sum.high);
    sum.mid = dot_su(weights, mid, sum.mid);
    sum.low = dot_su(weights, low, sum.low);
}

// Sixteen activations: a half of a block.
struct Sixteen {
    uint32_t high[4], mid[4], low[4];
    __device__ Sixteen(const Fixed& x, int half) {
        load(high, x.high + 4 * half);
        load(mid, x.mid + 4 * half);
        load(low, x.low + 4 * half);
    }
    __device__ static void load(uint32_t (&to)[4], const uint32_t* from) {
        uint4 v = *(const uint4*)from;
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    }
    __device__ void add(Parts3& sum, int k, uint32_t weights) const { dot4(sum, weights, high[k], mid[k], low[k]); }
};

// Values 4·(thread%8) … of a block, eight neighbouring threads having the whole of it; `there`: not past the end.
__device__ inline void store_fixed(Fixed* blocks, int i, const float4& v, bool there) {
    const float x[4] = {v.x, v.y, v.z, v.w};
    uint32_t largest = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) largest = max(largest, __float_as_uint(x[k]) & 0x7fffffffu);
#pragma unroll
    for (int other = 1; other < 8; other *= 2) largest = max(largest, __shfl_xor_sync(EVERYONE, largest, other));
    int exponent = max((int)(largest >> 23), 1);  // of f32's encoding; denormals share the smallest
    bool finite = exponent < 255;
    double up = __longlong_as_double((long long)(1023 + 149 - exponent) << 52);
    uint32_t q[4];
    int sum = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        int value = finite ? min(__double2int_rn((double)x[k] * up), 0x7fffff) : 0;
        sum += value;
        q[k] = (uint32_t)value;
    }
    float scale = finite ? (float)__longlong_as_double((long long)(1023 - 149 + exponent) << 52) : __uint_as_float(0x7fc00000u);
    sum += __shfl_xor_sync(EVERYONE, sum, 1);
    sum += __shfl_xor_sync(EVERYONE, sum, 2);
    if (!there) return;
    Fixed& block = blocks[i / 32];
    int word = i / 4 % 8;
    uint32_t low01 = __byte_perm(q[0], q[1], 0x5140), low23 = __byte_perm(q[2], q[3], 0x5140);  // low low mid mid
    block.low[word] = __byte_perm(low01, low23, 0x5410);
    block.mid[word] = __byte_perm(low01, low23, 0x7632);
    block.high[word] = __byte_perm(__byte_perm(q[0], q[1], 0x0062), __byte_perm(q[2], q[3], 0x0062), 0x5410);
    if (word % 4 == 0) block.sums[word / 4] = (float)sum * scale;
    if (word == 0) block.scale = scale;
}
