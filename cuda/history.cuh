// The cache of keys and values, [position][values].
#pragma once

#include "base.cuh"

template <typename T> __device__ inline float widened(T value);
template <> __device__ inline float widened(float value) { return value; }
template <> __device__ inline float widened(uint16_t value) { return half_to_float(value); }

template <typename T> __device__ inline T stored(float value);
template <> __device__ inline float stored(float value) { return value; }
template <> __device__ inline uint16_t stored(float value) { return float_to_half(value); }

// Where keys or values of this position go. A shift (a fault; 0 otherwise) leaves the own slot empty.
struct Row {
    const float* values;
    void* cache;
    int width;
    int shift;
};

// Value i of the row of this position.
template <typename T>
__device__ inline void put(const Step* step, const Row& row, int i, float value) {
    T* cache = (T*)row.cache;
    int position = step->position, slot = position + row.shift < 0 ? 0 : position + row.shift;
    cache[(size_t)slot * row.width + i] = stored<T>(value);
    if (slot < position) cache[(size_t)position * row.width + i] = stored<T>(0.0f);
}
