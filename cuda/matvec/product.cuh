// What every matrix-vector kernel is given, and what it does with a finished row.
//
// For each weight type there are (see stream.cuh)
//
//   mv_TYPE(Input, Parts)        up to three matrices that multiply the same row
//   mv_TYPE_gated(Input, Gated)  gate and up, and the activation of the one times the other
//
// Grid and block: any (blocks of whole warps, at most 1024 threads); warps take pairs of rows in turns, so that
// a grid of one or two blocks a multiprocessor is best for large matrices. Shared: `mv_TYPE_shared`.
// n is a multiple of the type's block length, and for plain types a row's bytes are a multiple of 16; x is
// 16-byte aligned, weights begin at a multiple of 16 bytes. Every row's sum depends on the row and on x alone,
// in one fixed order.
#pragma once

#include "activation.cuh"
#include "base.cuh"

constexpr int NO_NORM = 0, RMS_NORM = 1, LAYER_NORM = 2;

// The row that is multiplied, with what is done to it before: x, or its norm times weight plus bias.
struct Input {
    const float* x;            // [n]
    const float* norm_weight;  // [n] or null
    const float* norm_bias;    // [n] or null
    float* normed;             // [n] or null: where the normalised row is left
    int n;
    int norm;
    float eps;
};

// One matrix of a product: y = weight · x + bias; sum = y + residual.
struct Part {
    const uint8_t* weight;  // n_out rows of blocks as the model file has them
    const float* bias;      // [n_out] or null
    float* y;               // [n_out]
    const float* residual;  // [n_out] or null
    float* sum;             // [n_out], where there is a residual
    int n_out;
};

// Up to three matrices that multiply the same row (query, key and value).
struct Parts {
    Part part[3];
    int count;
};

// Gate and up: out = activation(gate) · up.
struct Gated {
    Part gate;
    Part up;
    float* out;      // [n_out]
    int activation;  // SILU or GELU
};

// One row is summed: stores it with what follows it.
__device__ inline float finish(const Part& part, int row, float value) {
    if (part.bias) value = value + part.bias[row];
    part.y[row] = value;
    if (part.residual) part.sum[row] = value + part.residual[row];
    return value;
}
