// The columns of a batch: as many positions as one product multiplies at once.
//
// Each column has an arena of its own with the same layout, `stride` bytes apart. What a launch is given belongs
// to the first column; what lies in its arena moves on for the others, weights do not.
#pragma once

#include "matvec/product.cuh"

// One position: nothing moves.
struct OneColumn {
    static constexpr int MOST = 1;
    __device__ int all() const { return 1; }
    template <typename T>
    __device__ T* at(T* p, int) const { return p; }
};

struct Columns {
    static constexpr int MOST = 8;
    uint64_t begin;   // of the first column's arena
    uint64_t stride;  // to the next one's: what lies this near behind `begin` moves
    int count;        // 1 … MOST
    __device__ int all() const { return count; }
    template <typename T>
    __device__ T* at(T* p, int column) const {
        return (uint64_t)p - begin < stride ? (T*)((uint64_t)p + (uint64_t)column * stride) : p;
    }
};

__device__ inline const Input& of_column(const Input& in, const OneColumn&, int) { return in; }
__device__ inline Input of_column(const Input& in, const Columns& columns, int column) {
    Input moved = in;
    moved.x = columns.at(in.x, column);
    moved.normed = columns.at(in.normed, column);
    return moved;
}

__device__ inline const Part& of_column(const Part& part, const OneColumn&, int) { return part; }
__device__ inline Part of_column(const Part& part, const Columns& columns, int column) {
    Part moved = part;
    moved.y = columns.at(part.y, column);
    moved.residual = columns.at(part.residual, column);
    moved.sum = columns.at(part.sum, column);
    return moved;
}
