// Activations, in f64 and rounded once, as the CPU backend has them.
#pragma once

#include "base.cuh"

constexpr int SILU = 0, GELU = 1;

__device__ inline double silu(double x) { return x / (1.0 + exp(-x)); }

// The tanh form, as ggml_gelu.
__device__ inline double gelu(double x) {
    constexpr double SQRT_2_OVER_PI = 0.7978845608028654;
    return 0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * x * (1.0 + 0.044715 * x * x)));
}

__device__ inline double activate(int which, double x) { return which == SILU ? silu(x) : gelu(x); }

__device__ inline float gate_times(int which, float gate, float up) {
    return (float)(activate(which, gate) * (double)up);
}
