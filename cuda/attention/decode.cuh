// Causal attention of one query over a cache of keys and values, [position][key head · width].
//
// The visible positions are cut into splits, one block each (for up to GROUP query heads that share a key head, so
// that keys and values are read once), which leave their running maximum, sum and mixture; the last block of a
// key head to end puts the splits together, in order. So one launch serves any position, and the position is read
// from device memory: a captured graph stays valid. Logits are computed in f64, so that a large score costs no
// digits of its probability; products are summed in f32. A maximum only keeps exponents in range: f32 will do, and a
// NaN among the logits reaches the sum without it.
#pragma once

#include "base.cuh"
#include "overlap.cuh"

struct Attention {
    const Step* step;
    const float* query;  // [queries · width]
    const void* keys;
    const void* values;
    float* scores;        // [queries][visible] raw products, or null: nobody looks
    float* maxima;        // [splits + 1][queries]; the last row: over all splits
    float* sums;          // [splits + 1][queries]; likewise
    float* mixtures;      // [splits][queries][width_v]
    uint32_t* finished;   // [key heads · heads of blocks], zero before the first launch and after each
    float* out;           // [queries · width_v]
    int queries;          // query heads; head h uses key head h / (queries / key_heads)
    int key_heads;
    int width;    // of a query or key head, a multiple of 8
    int width_v;  // of a value head, a multiple of 4, at most 1024
    int window;   // positions seen, the own one included; 0: all
    float cap;    // of the scores; 0: none
    float factor; // on the scores
    int before;   // rows of scores that lie before these
};

constexpr int ATTEND_THREADS = 256, TILE = 128, LANES = 2, LEAST_SPLIT = 256, ROWS_AHEAD = 8;

// Four values of a cache, as they lie there.
template <typename T> struct Packed;
template <> struct Packed<float> { using Four = float4; };
template <> struct Packed<uint16_t> { using Four = uint2; };

__device__ inline void widen4(const float4& v, float (&out)[4]) { out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w; }
__device__ inline void widen4(const uint2& v, float (&out)[4]) {
    out[0] = half_to_float((uint16_t)v.x), out[1] = half_to_float((uint16_t)(v.x >> 16));
    out[2] = half_to_float((uint16_t)v.y), out[3] = half_to_float((uint16_t)(v.y >> 16));
}
__device__ inline void widen8(const float* p, float (&out)[8]) {
    float4 a = *(const float4*)p, b = *(const float4*)(p + 4);
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}
__device__ inline void widen8(const uint16_t* p, float (&out)[8]) {
    uint4 v = *(const uint4*)p;
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[2 * i] = half_to_float((uint16_t)words[i]);
        out[2 * i + 1] = half_to_float((uint16_t)(words[i] >> 16));
    }
}

// Brings a row nearer, into the L2 cache.
template <typename T>
__device__ inline void ask_for(const T* row, int width) {
    for (int i = 0; i < width; i += 128 / (int)sizeof(T)) asm volatile("prefetch.global.L2 [%0];" ::"l"(row + i));
}

__device__ inline float minus_infinity() { return __uint_as_float(0xff800000u); }

__device__ inline double logit(float score, const Attention& a) {
    double s = (double)score * (double)a.factor;
    return a.cap != 0.0f ? (double)a.cap * tanh(s / (double)a.cap) : s;
}

// e^(logit − max). The difference is rounded to f32 where it costs nothing: large ones belong to small results.
__device__ inline float weight_of(double logit, float max) { return expf((float)(logit - (double)max)); }

__device__ inline float warp_largest(float value) {
    for (int other = WARP / 2; other > 0; other /= 2) value = fmaxf(value, __shfl_xor_sync(EVERYONE, value, other));
    return value;
}

__device__ inline int split_of(int visible, int splits) {
    int length = (visible + splits - 1) / splits;
    return length < LEAST_SPLIT ? LEAST_SPLIT : length;
}

// Grid: (splits, key heads, ceil(query heads of a key head / GROUP)); block: ATTEND_THREADS; shared: see `shared_floats`.
template <typename T, int GROUP>
__device__ inline void attend(const Attention& a) {
    extern __shared__ __align__(16) float room[];
    __shared__ double tile_logits[GROUP][TILE];
    __shared__ float max_of[GROUP], sum_of[GROUP], correction[GROUP], weights[GROUP][TILE];
    __shared__ int last;
    let_next_start();
    // The position was set before the step's first kernel began, and earlier positions' rows before that.
    int visible = a.step->position + 1, splits = gridDim.x, length = split_of(visible, splits);
    int first = blockIdx.x * length, end = first + length < visible ? first + length : visible;
    size_t key_stride = (size_t)a.key_heads * a.width, value_stride = (size_t)a.key_heads * a.width_v;
    const T* keys = (const T*)a.keys + (size_t)blockIdx.y * a.width;
    const T* values = (const T*)a.values + (size_t)blockIdx.y * a.width_v;
    for (int p = first + (int)threadIdx.x; p < end && p < first + TILE && p + 1 < visible; p += ATTEND_THREADS) {
        ask_for<T>(keys + p * key_stride, a.width);
        ask_for<T>(values + p * value_stride, a.width_v);
    }
    wait_for_previous();
    if (first >= visible) return;
    int hidden = a.window > 0 && a.window < visible ? visible - a.window : 0;
    int shared_by = a.queries / a.key_heads, head = blockIdx.y * shared_by + blockIdx.z * GROUP;
    int group = shared_by - (int)blockIdx.z * GROUP < GROUP ? shared_by - (int)blockIdx.z * GROUP : GROUP;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;

    // room: the queries [GROUP][width] (zeros beyond the group), later the mixtures.
    for (int i = threadIdx.x; i < GROUP * a.width; i += ATTEND_THREADS) {
        room[i] = i < group * a.width ? a.query[(size_t)head * a.width + i] : 0.0f;
    }
    if (threadIdx.x < GROUP) max_of[threadIdx.x] = minus_infinity(), sum_of[threadIdx.x] = 0;
    __syncthreads();

    // Four values of a head a thread, `lanes` positions side by side.
    int across = a.width_v / 4, lanes = ATTEND_THREADS / across;
    int column = threadIdx.x % across * 4, row = threadIdx.x / across;
    float mixed[GROUP][4] = {};
    values += column;

    for (int tile = first; tile < end; tile += TILE) {
        int count = end - tile < TILE ? end - tile : TILE;
        // The first values are under way while the scores are computed.
        int from = hidden > tile ? hidden - tile : 0;
        typename Packed<T>::Four ahead[ROWS_AHEAD];
#pragma unroll
        for (int k = 0; k < ROWS_AHEAD; k++) {
            int i = from + row + k * lanes;
            if (row < lanes && i < count) ahead[k] = *(const typename Packed<T>::Four*)(values + (tile + i) * value_stride);
        }
        // Scores: LANES threads a position, each every LANES-th piece of eight values.
        for (int i = threadIdx.x / LANES; i < TILE; i += ATTEND_THREADS / LANES) {
            if (i - lane / LANES >= count) break;  // the whole warp
            float score[GROUP] = {};
            int p = tile + (i < count ? i : 0);
            const T* key = keys + p * key_stride;
#pragma unroll 4
            for (int d = threadIdx.x % LANES * 8; d < a.width; d += LANES * 8) {
                float k[8];
                widen8(key + d, k);
#pragma unroll
                for (int g = 0; g < GROUP; g++) {
                    float4 low = *(const float4*)(room + g * a.width + d), high = *(const float4*)(room + g * a.width + d + 4);
                    score[g] = fmaf(low.x, k[0], score[g]);
                    score[g] = fmaf(low.y, k[1], score[g]);
                    score[g] = fmaf(low.z, k[2], score[g]);
                    score[g] = fmaf(low.w, k[3], score[g]);
                    score[g] = fmaf(high.x, k[4], score[g]);
                    score[g] = fmaf(high.y, k[5], score[g]);
                    score[g] = fmaf(high.z, k[6], score[g]);
                    score[g] = fmaf(high.w, k[7], score[g]);
                }
            }
#pragma unroll
            for (int g = 0; g < GROUP; g++) {
                for (int other = LANES / 2; other > 0; other /= 2) score[g] += __shfl_xor_sync(EVERYONE, score[g], other);
                if (i < count && threadIdx.x % LANES == 0) {
                    if (a.scores && g < group) a.scores[(size_t)(a.before + head + g) * visible + p] = score[g];
                    tile_logits[g][i] = p < hidden ? minus_infinity() : logit(score[g], a);
                }
            }
        }
        __syncthreads();
        if (tile + count <= hidden) continue;  // nothing of it is seen
        // Weights: a warp a head.
        for (int g = warp; g < GROUP; g += ATTEND_THREADS / WARP) {
            float max = max_of[g], sum = 0;
            for (int i = lane; i < count; i += WARP) max = fmaxf(max, (float)tile_logits[g][i]);
            max = warp_largest(max);
            float old = expf(max_of[g] - max);
            for (int i = lane; i < count; i += WARP) {
                float w = tile + i < hidden ? 0.0f : weight_of(tile_logits[g][i], max);
                weights[g][i] = w;
                sum += w;
            }
            sum = warp_sum(sum);
            __syncwarp();
            if (lane == 0) correction[g] = old, sum_of[g] = sum_of[g] * old + sum, max_of[g] = max;
        }
        __syncthreads();
        // Mixture.
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
#pragma unroll
            for (int k = 0; k < 4; k++) mixed[g][k] *= correction[g];
        }
        if (row < lanes) {
            auto mix = [&](int i, const typename Packed<T>::Four& packed) {
                float v[4];
                widen4(packed, v);
#pragma unroll
                for (int g = 0; g < GROUP; g++) {
#pragma unroll
                    for (int k = 0; k < 4; k++) mixed[g][k] = fmaf(weights[g][i], v[k], mixed[g][k]);
                }
            };
#pragma unroll
            for (int k = 0; k < ROWS_AHEAD; k++) {
                int i = from + row + k * lanes;
                if (i < count) mix(i, ahead[k]);
            }
#pragma unroll 4
            for (int i = from + row + ROWS_AHEAD * lanes; i < count; i += lanes) {
                mix(i, *(const typename Packed<T>::Four*)(values + (tile + i) * value_stride));
            }
        }
        __syncthreads();
    }

    // Positions side by side are added in order. room: [GROUP][lanes][width_v].
    if (row < lanes) {
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            *(float4*)(room + (g * lanes + row) * a.width_v + column) = make_float4(mixed[g][0], mixed[g][1], mixed[g][2], mixed[g][3]);
        }
    }
    __syncthreads();
    int used = (visible + length - 1) / length;
    size_t split_row = (size_t)blockIdx.x * a.queries;
    for (int i = threadIdx.x; i < group * a.width_v; i += ATTEND_THREADS) {
        int g = i / a.width_v, d = i % a.width_v;
        float sum = 0;
        for (int r = 0; r < lanes; r++) sum += room[(g * lanes + r) * a.width_v + d];
        if (used == 1) {
            a.out[(size_t)(head + g) * a.width_v + d] = sum / sum_of[g];
        } else {
            a.mixtures[(split_row + head + g) * a.width_v + d] = sum;
        }
    }
    if (threadIdx.x < group) {
        size_t at = (used == 1 ? (size_t)splits * a.queries : split_row) + head + threadIdx.x;
        a.maxima[at] = max_of[threadIdx.x];
        a.sums[at] = sum_of[threadIdx.x];
    }
    if (used == 1) return;

    // The last block of these heads puts the splits together.
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicInc(a.finished + blockIdx.y * gridDim.z + blockIdx.z, used - 1) == used - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    // Each split's share of a head, in place of its maximum: room [GROUP][used], as far as there is room.
    float* shares = room;
    for (int g = warp; g < group; g += ATTEND_THREADS / WARP) {
        int h = head + g;
        float max = minus_infinity(), sum = 0;
        for (int s = lane; s < used; s += WARP) max = fmaxf(max, a.maxima[(size_t)s * a.queries + h]);
        max = warp_largest(max);
        for (int s = lane; s < used; s += WARP) {
            // A split of which nothing is seen has a sum of zero and no maximum.
            float seen = a.sums[(size_t)s * a.queries + h];
            float share = seen != 0.0f ? expf(a.maxima[(size_t)s * a.queries + h] - max) : 0.0f;
            if (seen != 0.0f) sum += seen * share;
            shares[g * used + s] = share;
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            sum_of[g] = sum;
            a.maxima[(size_t)splits * a.queries + h] = max;
            a.sums[(size_t)splits * a.queries + h] = sum;
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < group * a.width_v; i += ATTEND_THREADS) {
        int g = i / a.width_v;
        const float* mixture = a.mixtures + (size_t)head * a.width_v + i;
        float total = 0;
#pragma unroll 8
        for (int s = 0; s < used; s++) total = fmaf(mixture[(size_t)s * a.queries * a.width_v], shares[g * used + s], total);
        a.out[(size_t)head * a.width_v + i] = total / sum_of[g];
    }
}

// Probabilities from raw scores, for those who look at them, `out_before` rows behind `out`. Grid: (any number, query heads).
__device__ inline void probabilities(const Attention& a, int splits, float* out, int out_before) {
    let_next_start();
    wait_for_previous();
    int visible = a.step->position + 1, head = blockIdx.y;
    int hidden = a.window > 0 && a.window < visible ? visible - a.window : 0;
    float max = a.maxima[(size_t)splits * a.queries + head];
    float sum = a.sums[(size_t)splits * a.queries + head];
    for (int p = blockIdx.x * blockDim.x + threadIdx.x; p < visible; p += gridDim.x * blockDim.x) {
        float score = a.scores[(size_t)(a.before + head) * visible + p];
        out[(size_t)(out_before + head) * visible + p] = p < hidden ? 0.0f : weight_of(logit(score, a), max) / sum;
    }
}
