// Products of a matrix with one row (y = W·x, bound by the bandwidth of device memory) or with the columns of a batch.
//
// Of a batch, each weight that has come to shared memory is multiplied with all columns. A column is summed in the order
// of a product of its own: it has the same bits in a batch of any size.
//
// Each warp takes two rows at once and streams them through its own slots of shared memory: bytes under way cost
// no registers, blocks of 18, 34 or 210 bytes are fetched as fast as aligned ones, and both rows share each
// activation read. The first chunks are under way before the kernel waits for the one in front of it.
// Each lane adds its products in order, lanes are added as a tree. How a type multiplies is in types/.
#pragma once

#include "async_copy.cuh"
#include "matvec/any.cuh"
#include "matvec/columns.cuh"
#include "matvec/product.cuh"
#include "matvec/types/plain.cuh"
#include "matvec/types/super.cuh"
#include "overlap.cuh"

constexpr int ROWS = 2;

template <class Type>
struct Chunk {
    static constexpr int VALUES = WARP * Type::UNIT, BYTES = VALUES / Type::LEN * Type::BYTES;
    // A row may begin at any byte of 16, and decoders may read a word too far.
    static constexpr int SLOT = Type::LEN == 1 ? BYTES : (BYTES + 15 + 8 + 15) / 16 * 16;
    static constexpr int STAGES = Type::LEN == 1 ? 3 : 2;  // as measured
    static constexpr int WARP_BYTES = SLOT * ROWS * STAGES;
};

// Bytes that a row of n values takes.
template <class Type>
__device__ inline size_t row_bytes(int n) {
    return (size_t)(n / Type::LEN) * Type::BYTES;
}

__device__ inline bool finite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }

// The input row into shared memory, normalised if that is asked for. Whether a value is infinite or NaN.
template <class Type>
__device__ inline bool load_input(const Input& in, typename Type::Block* x) {
    __shared__ double scratch[2][WARP];
    double mean = 0, scale = 1;
    bool odd = false;
    if (in.norm == LAYER_NORM) {
        double sum = 0;
        for (int i = 4 * threadIdx.x; i < in.n; i += 4 * blockDim.x) {
            float4 v = *(const float4*)(in.x + i);
            sum += ((double)v.x + (double)v.y) + ((double)v.z + (double)v.w);
        }
        mean = block_sum(sum, scratch[0]) / in.n;
    }
    if (in.norm != NO_NORM) {
        double square = 0;
        for (int i = 4 * threadIdx.x; i < in.n; i += 4 * blockDim.x) {
            float4 v = *(const float4*)(in.x + i);
            double a = (double)v.x - mean, b = (double)v.y - mean, c = (double)v.z - mean, d = (double)v.w - mean;
            square += (a * a + b * b) + (c * c + d * d);
        }
        scale = 1.0 / sqrt(block_sum(square, scratch[1]) / in.n + (double)in.eps);
    }
    // Whole warps stay together: neighbours share a block of activations.
    for (int start = 0; start < in.n; start += 4 * blockDim.x) {
        int i = start + 4 * threadIdx.x;
        if (i - 4 * (int)(threadIdx.x % WARP) >= in.n) break;
        bool there = i < in.n;
        float4 v = there ? *(const float4*)(in.x + i) : make_float4(0, 0, 0, 0);
        if (in.norm != NO_NORM && there) {
            float4 w = in.norm_weight ? *(const float4*)(in.norm_weight + i) : make_float4(1, 1, 1, 1);
            float4 b = in.norm_bias ? *(const float4*)(in.norm_bias + i) : make_float4(0, 0, 0, 0);
            v.x = (float)(((double)v.x - mean) * scale * (double)w.x + (double)b.x);
            v.y = (float)(((double)v.y - mean) * scale * (double)w.y + (double)b.y);
            v.z = (float)(((double)v.z - mean) * scale * (double)w.z + (double)b.z);
            v.w = (float)(((double)v.w - mean) * scale * (double)w.w + (double)b.w);
            if (in.normed && blockIdx.x == 0) *(float4*)(in.normed + i) = v;
        }
        odd |= !finite(v.x) || !finite(v.y) || !finite(v.z) || !finite(v.w);
        Type::store(x, i, v, there);
    }
    return __syncthreads_or(odd);
}

// A row with infinite values is multiplied value by value (Wide) by types that compute with integers, so that what
// comes out is what the oracle has: infinite or NaN.
template <class Type, class Wide, class Job, class Several>
__device__ inline void stream(const Input& in, const Job& job, const Several& columns, int block, int blocks) {
    extern __shared__ __align__(16) uint8_t shared[];
    using C = Chunk<Type>;
    __shared__ uint64_t barriers[MOST_WARPS * C::STAGES];
    let_next_start();
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int warps = blocks * (blockDim.x / WARP), pairs = job.pairs();
    auto* x = (typename Type::Block*)shared;
    int row = (in.n + 31) / 32;  // blocks of activations
    uint8_t* slots = shared + columns.all() * row * sizeof(typename Type::Block) + warp * C::WARP_BYTES;
    Pipe<C::STAGES> pipe(barriers + warp * C::STAGES, lane);

    // Warps of a block take rows far apart, blocks rows side by side: then a grid that does not divide the rows
    // evenly leaves no multiprocessor without work.
    int pair = warp * blocks + block, asked_pair = pair, asked_from = 0;
    const uint8_t* asked[ROWS];
    if (pair < pairs) job.rows(pair, in.n, asked);
    auto ask = [&](int stage) {
        if (asked_pair < pairs) {
            int values = in.n - asked_from < C::VALUES ? in.n - asked_from : C::VALUES;
            int bytes[ROWS], all = 0;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                int skipped = Type::BYTES % 16 && Type::LEN != 1 ? (int)((uint64_t)asked[r] & 15) : 0;
                bytes[r] = (skipped + values / Type::LEN * Type::BYTES + 15) & ~15;
                all += bytes[r];
            }
            pipe.expect(stage, all, lane);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const uint8_t* from = (const uint8_t*)((uint64_t)asked[r] & ~15ull);
                pipe.copy(stage, slots + (stage * ROWS + r) * C::SLOT, from, bytes[r], lane);
                asked[r] += C::BYTES;
            }
            asked_from += C::VALUES;
            if (asked_from >= in.n) {
                asked_from = 0;
                asked_pair += warps;
                if (asked_pair < pairs) job.rows(asked_pair, in.n, asked);
            }
        }
        pipe.close();
    };
#pragma unroll
    for (int stage = 0; stage < C::STAGES - 1; stage++) ask(stage);
    wait_for_previous();
    uint32_t odd = 0;  // a bit a column
    for (int c = 0; c < columns.all(); c++) odd |= (uint32_t)load_input<Type>(of_column(in, columns, c), x + c * row) << c;

    int stage = 0, round = 0;
    for (; pair < pairs; pair += warps) {
        float sums[Several::MOST][ROWS] = {};
        const uint8_t* begin[ROWS];
        int skipped[ROWS] = {};
        if (Type::BYTES % 16 && Type::LEN != 1) {
            job.rows(pair, in.n, begin);
#pragma unroll
            for (int r = 0; r < ROWS; r++) skipped[r] = (int)((uint64_t)begin[r] & 15);
        }
        for (int from = 0; from < in.n; from += C::VALUES) {
            __syncwarp();  // everybody has read the slot that is filled next
            ask(stage == 0 ? C::STAGES - 1 : stage - 1);
            pipe.await(stage, round);
            const uint8_t* slot[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) slot[r] = slots + (stage * ROWS + r) * C::SLOT + skipped[r];
#pragma unroll 1
            for (int c = 0; c < columns.all(); c++) Type::template add<ROWS>(slot, lane, in.n - from, x + c * row, from, sums[c]);
            if (++stage == C::STAGES) stage = 0, round++;
        }
#pragma unroll 1
        for (int c = 0; c < columns.all(); c++) {
            float sum[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) sum[r] = warp_sum(sums[c][r]);
            if (Type::LEN != 1 && (odd >> c & 1) && in.norm == NO_NORM) {
                job.rows(pair, in.n, begin);
                const float* whole = columns.at(in.x, c);
#pragma unroll 1
                for (int r = 0; r < ROWS; r++) (r ? sum[1] : sum[0]) = row_dot<Wide>(r ? begin[1] : begin[0], whole, in.n);
            }
            job.store(pair, sum, lane, columns, c);
        }
    }
}

// Rows 2·pair and 2·pair + 1 of a part; of an odd number of rows, the last one is computed twice.
template <class Type>
struct PartsJob {
    const Parts& parts;
    __device__ int pairs() const {
        int sum = 0;
        for (int i = 0; i < parts.count; i++) sum += (parts.part[i].n_out + 1) / 2;
        return sum;
    }
    __device__ const Part& locate(int& pair) const {
        int i = 0;
        while (i + 1 < parts.count && pair >= (parts.part[i].n_out + 1) / 2) pair -= (parts.part[i++].n_out + 1) / 2;
        return parts.part[i];
    }
    __device__ void rows(int pair, int n, const uint8_t* (&rows)[ROWS]) const {
        const Part& part = locate(pair);
        size_t bytes = row_bytes<Type>(n);
        rows[0] = part.weight + 2 * pair * bytes;
        rows[1] = 2 * pair + 1 < part.n_out ? rows[0] + bytes : rows[0];
    }
    template <class Several>
    __device__ void store(int pair, const float (&sums)[ROWS], int lane, const Several& columns, int column) const {
        const Part& part = locate(pair);
        int row = 2 * pair + lane;
        if (lane < ROWS && row < part.n_out) finish(of_column(part, columns, column), row, lane ? sums[1] : sums[0]);
    }
};

// Row `pair` of the gate and of the other matrix.
template <class Type>
struct GatedJob {
    const Gated& gated;
    __device__ int pairs() const { return gated.gate.n_out; }
    __device__ void rows(int pair, int n, const uint8_t* (&rows)[ROWS]) const {
        size_t bytes = row_bytes<Type>(n);
        rows[0] = gated.gate.weight + pair * bytes;
        rows[1] = gated.up.weight + pair * bytes;
    }
    template <class Several>
    __device__ void store(int pair, const float (&sums)[ROWS], int lane, const Several& columns, int column) const {
        if (lane != 0) return;
        float gate = finish(of_column(gated.gate, columns, column), pair, sums[0]);
        float up = finish(of_column(gated.up, columns, column), pair, sums[1]);
        columns.at(gated.out, column)[pair] = gate_times(gated.activation, gate, up);
    }
};

// The kernels of one weight type, for one row and for the columns of a batch. `mv_NAME_shared`: bytes of dynamic shared
// memory that a block needs for each warp and for each 32 values of each column.
#define MATVEC(Type, name)                                                                                                \
    extern "C" __constant__ int mv_##name##_shared[3] = {Chunk<Type##Dot>::WARP_BYTES, (int)sizeof(Type##Dot::Block), 0}; \
    extern "C" __global__ void __launch_bounds__(32 * MOST_WARPS, 1)                                                      \
        mv_##name(const __grid_constant__ Input in, const __grid_constant__ Parts parts) {                                \
        stream<Type##Dot, Type>(in, PartsJob<Type##Dot>{parts}, OneColumn{}, blockIdx.x, gridDim.x);                      \
    }                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(32 * MOST_WARPS, 1)                                                      \
        mv_##name##_gated(const __grid_constant__ Input in, const __grid_constant__ Gated gated) {                        \
        stream<Type##Dot, Type>(in, GatedJob<Type##Dot>{gated}, OneColumn{}, blockIdx.x, gridDim.x);                      \
    }                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(32 * MOST_WARPS, 1)                                                      \
        mm_##name(const __grid_constant__ Input in, const __grid_constant__ Parts parts,                                  \
                  const __grid_constant__ Columns columns) {                                                              \
        stream<Type##Dot, Type>(in, PartsJob<Type##Dot>{parts}, columns, blockIdx.x, gridDim.x);                          \
    }                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(32 * MOST_WARPS, 1)                                                      \
        mm_##name##_gated(const __grid_constant__ Input in, const __grid_constant__ Gated gated,                          \
                          const __grid_constant__ Columns columns) {                                                      \
        stream<Type##Dot, Type>(in, GatedJob<Type##Dot>{gated}, columns, blockIdx.x, gridDim.x);                          \
    }
