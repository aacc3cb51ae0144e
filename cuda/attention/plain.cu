// Causal attention of one query over a cache of keys and values, operation by operation: for operations that are
// computed alone or put in from outside, and for shapes that decode.cu does not take.
//
// Scores and probabilities lie packed, position fastest, for exactly the visible positions: at
// `base + before · visible`, where `before` counts the rows (heads) that lie before.
#include "history.cuh"
#include "overlap.cuh"

struct Heads {
    int queries;    // query heads; query head h uses key head h / (queries / keys)
    int keys;
    int width;      // of a query or key head
    int width_v;    // of a value head
    int window;     // positions seen, the own one included; 0: all
    float cap;      // of the scores; 0: none
    float factor;   // on the scores
};

constexpr int SCORE_WARPS = 4;

// Query · key at each visible position. Grid: (any number, key heads); shared: the group's queries.
// A warp takes a position for all query heads that share the key.
template <typename T>
__device__ inline void scores(const Step* step, const float* query, const T* keys, const Heads& heads, float* base,
                              int before) {
    extern __shared__ float queries[];
    let_next_start();
    wait_for_previous();
    int visible = step->position + 1, group = heads.queries / heads.keys;
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int first = blockIdx.x * SCORE_WARPS;
    if (first >= visible) return;
    query += (size_t)blockIdx.y * group * heads.width;
    for (int i = threadIdx.x; i < group * heads.width; i += blockDim.x) queries[i] = query[i];
    __syncthreads();
    float* out = base + (size_t)(before + blockIdx.y * group) * visible;
    for (int p = first + warp; p < visible; p += gridDim.x * SCORE_WARPS) {
        const T* key = keys + ((size_t)p * heads.keys + blockIdx.y) * heads.width;
        for (int g = 0; g < group; g++) {
            float sum = 0;
            for (int i = lane; i < heads.width; i += WARP) {
                sum = fmaf(queries[g * heads.width + i], widened<T>(key[i]), sum);
            }
            sum = warp_sum(sum);
            if (lane == 0) out[(size_t)g * visible + p] = sum;
        }
    }
}

extern "C" __global__ void scores_f32(const Step* step, const float* query, const float* keys, Heads heads, float* base,
                                      int before) {
    scores<float>(step, query, keys, heads, base, before);
}
extern "C" __global__ void scores_f16(const Step* step, const float* query, const uint16_t* keys, Heads heads,
                                      float* base, int before) {
    scores<uint16_t>(step, query, keys, heads, base, before);
}

__device__ inline double logit(float score, const Heads& heads) {
    double s = (double)score * (double)heads.factor;
    return heads.cap != 0.0f ? (double)heads.cap * tanh(s / (double)heads.cap) : s;
}

// Probabilities of one head. Grid: query heads.
extern "C" __global__ void softmax(const Step* step, const float* score_base, int scores_before, Heads heads,
                                   float* base, int before) {
    __shared__ double scratch[2][WARP];
    let_next_start();
    wait_for_previous();
    int visible = step->position + 1;
    int hidden = heads.window > 0 && heads.window < visible ? visible - heads.window : 0;
    const float* in = score_base + (size_t)(scores_before + blockIdx.x) * visible;
    float* out = base + (size_t)(before + blockIdx.x) * visible;
    double max = -__longlong_as_double(0x7ff0000000000000ll), sum = 0;
    for (int p = hidden + threadIdx.x; p < visible; p += blockDim.x) max = larger(max, logit(in[p], heads));
    max = block_max(max, scratch[0]);
    for (int p = hidden + threadIdx.x; p < visible; p += blockDim.x) sum += exp(logit(in[p], heads) - max);
    sum = block_sum(sum, scratch[1]);
    for (int p = threadIdx.x; p < visible; p += blockDim.x) {
        out[p] = p < hidden ? 0.0f : (float)(exp(logit(in[p], heads) - max) / sum);
    }
}

// Positions of one split, so that a grid of `splits` covers what is visible.
__device__ inline int split_length(int visible, int splits) {
    constexpr int LEAST = 64;
    int length = (visible + splits - 1) / splits;
    return length < LEAST ? LEAST : length;
}

constexpr int MIX_HEADS = 4;

// Σ probability · value over one split's positions. Grid: (splits, key heads, ceil(group / MIX_HEADS));
// threads: (x: elements of a value head, y: positions side by side); shared: MIX_HEADS · x · y floats.
// partial: [split][query heads · width_v].
template <typename T>
__device__ inline void mix(const Step* step, const float* probabilities, int before, const T* values,
                           const Heads& heads, float* partial) {
    extern __shared__ float sums[];
    let_next_start();
    wait_for_previous();
    int visible = step->position + 1, group = heads.queries / heads.keys;
    int length = split_length(visible, gridDim.x);
    int first = blockIdx.x * length, last = first + length < visible ? first + length : visible;
    if (first >= visible) return;
    int from = blockIdx.z * MIX_HEADS, count = group - from < MIX_HEADS ? group - from : MIX_HEADS;
    int head = blockIdx.y * group + from;
    const float* p_row = probabilities + (size_t)(before + head) * visible;
    for (int start = 0; start < heads.width_v; start += blockDim.x) {
        int d = start + threadIdx.x;
        float sum[MIX_HEADS] = {};
        if (d < heads.width_v) {
            for (int p = first + threadIdx.y; p < last; p += blockDim.y) {
                float v = widened<T>(values[((size_t)p * heads.keys + blockIdx.y) * heads.width_v + d]);
#pragma unroll
                for (int g = 0; g < MIX_HEADS; g++) {
                    if (g < count) sum[g] = fmaf(p_row[(size_t)g * visible + p], v, sum[g]);
                }
            }
        }
        __syncthreads();
#pragma unroll
        for (int g = 0; g < MIX_HEADS; g++) {
            sums[(g * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x] = sum[g];
        }
        __syncthreads();
        for (int g = threadIdx.y; g < count; g += blockDim.y) {
            if (d >= heads.width_v) break;
            float total = 0;
            for (int y = 0; y < (int)blockDim.y; y++) total += sums[(g * blockDim.y + y) * blockDim.x + threadIdx.x];
            partial[(size_t)blockIdx.x * heads.queries * heads.width_v + (head + g) * heads.width_v + d] = total;
        }
    }
}

extern "C" __global__ void mix_f32(const Step* step, const float* probabilities, int before, const float* values,
                                   Heads heads, float* partial) {
    mix<float>(step, probabilities, before, values, heads, partial);
}
extern "C" __global__ void mix_f16(const Step* step, const float* probabilities, int before, const uint16_t* values,
                                   Heads heads, float* partial) {
    mix<uint16_t>(step, probabilities, before, values, heads, partial);
}

// Adds the splits, in order.
extern "C" __global__ void combine(const Step* step, const float* partial, int splits, int n, float* out) {
    let_next_start();
    wait_for_previous();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int visible = step->position + 1, length = split_length(visible, splits);
    float sum = 0;
    for (int s = 0; s * length < visible; s++) sum += partial[(size_t)s * n + i];
    out[i] = sum;
}
