// Matrix-vector products of any size, without a norm and not fast: a warp a row, eight values a lane at a time.
// Sums: each lane adds its products in f32 with fmaf, in order; lanes are added as a tree.
// And rows of embeddings.
#pragma once

#include "blocks.cuh"
#include "matvec/product.cuh"
#include "overlap.cuh"

constexpr int ANY_ROWS = 4;

template <typename Block>
__device__ inline float row_dot(const uint8_t* row, const float* x, int n_in) {
    constexpr int PER_BLOCK = Block::LEN == 1 ? 1 : Block::LEN / 8;
    int lane = threadIdx.x % WARP;
    float sum = 0;
    for (int chunk = lane; chunk < n_in / 8; chunk += WARP) {
        float w[8];
        if constexpr (Block::LEN == 1) {
            Block::eight(row, chunk, w);
        } else {
            Block::eight(row + (size_t)(chunk / PER_BLOCK) * Block::BYTES, chunk % PER_BLOCK, w);
        }
        const float4 a = ((const float4*)x)[2 * chunk], b = ((const float4*)x)[2 * chunk + 1];
        sum = fmaf(w[0], a.x, sum);
        sum = fmaf(w[1], a.y, sum);
        sum = fmaf(w[2], a.z, sum);
        sum = fmaf(w[3], a.w, sum);
        sum = fmaf(w[4], b.x, sum);
        sum = fmaf(w[5], b.y, sum);
        sum = fmaf(w[6], b.z, sum);
        sum = fmaf(w[7], b.w, sum);
    }
    if constexpr (Block::LEN == 1) {
        int i = n_in / 8 * 8 + lane;
        if (i < n_in) sum = fmaf(Block::one(row, i), x[i], sum);
    }
    return warp_sum(sum);
}

template <typename Block>
__device__ inline const uint8_t* row_at(const uint8_t* weight, int row, int n_in) {
    return weight + (size_t)row * (n_in / Block::LEN) * Block::BYTES;
}

// Grid: Σ over parts of ceil(n_out / ANY_ROWS) blocks.
template <typename Block>
__device__ inline void any_product(const Input& in, const Parts& parts) {
    let_next_start();
    wait_for_previous();
    int i = 0, block = blockIdx.x;
    while (i + 1 < parts.count && block >= (parts.part[i].n_out + ANY_ROWS - 1) / ANY_ROWS) {
        block -= (parts.part[i++].n_out + ANY_ROWS - 1) / ANY_ROWS;
    }
    const Part& part = parts.part[i];
    int row = block * ANY_ROWS + threadIdx.x / WARP;
    if (row >= part.n_out) return;
    float sum = row_dot<Block>(row_at<Block>(part.weight, row, in.n), in.x, in.n);
    if (threadIdx.x % WARP == 0) finish(part, row, sum);
}

// Row `token` or `position` of a table of embeddings.
template <typename Block>
__device__ inline void look_up(const Step* step, int by_position, const uint8_t* weight, int n, float* out) {
    let_next_start();
    wait_for_previous();
    const uint8_t* row = row_at<Block>(weight, by_position ? step->position : step->token, n);
    int first = blockIdx.x * blockDim.x + threadIdx.x, all = gridDim.x * blockDim.x;
    for (int chunk = first; chunk < n / 8; chunk += all) {
        float w[8];
        if constexpr (Block::LEN == 1) {
            Block::eight(row, chunk, w);
        } else {
            Block::eight(row + (size_t)(chunk / (Block::LEN / 8)) * Block::BYTES, chunk % (Block::LEN / 8), w);
        }
        for (int i = 0; i < 8; i++) out[8 * chunk + i] = w[i];
    }
    if constexpr (Block::LEN == 1) {
        int i = n / 8 * 8 + first;
        if (i < n) out[i] = Block::one(row, i);
    }
}

#define ANY(Block, name)                                                                                            \
    extern "C" __global__ void __launch_bounds__(ANY_ROWS * WARP)                                                   \
        any_##name(const __grid_constant__ Input in, const __grid_constant__ Parts parts) {                         \
        any_product<Block>(in, parts);                                                                              \
    }                                                                                                               \
    extern "C" __global__ void row_##name(const Step* step, int by_position, const uint8_t* weight, int n,          \
                                          float* out) {                                                             \
        look_up<Block>(step, by_position, weight, n, out);                                                          \
    }
