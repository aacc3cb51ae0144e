// One value in, one value out. Each computes in f64 and rounds once, where f32 would round twice.
#include "activation.cuh"
#include "overlap.cuh"

#define INDEX                                          \
    let_next_start();                                  \
    wait_for_previous();                               \
    int i = blockIdx.x * blockDim.x + threadIdx.x;     \
    if (i >= n) return

extern "C" __global__ void add(const float* a, const float* b, int n, float* out) {
    INDEX;
    out[i] = a[i] + b[i];
}

extern "C" __global__ void copy(const float* x, int n, float* out) {
    INDEX;
    out[i] = x[i];
}

extern "C" __global__ void scale(const float* x, float factor, int n, float* out) {
    INDEX;
    out[i] = x[i] * factor;
}

// cap · tanh(x / cap)
extern "C" __global__ void soft_cap(const float* x, float cap, int n, float* out) {
    INDEX;
    out[i] = (float)((double)cap * tanh((double)x[i] / (double)cap));
}

// activation(gate) · up
extern "C" __global__ void gated(const float* gate, const float* up, int activation, int n, float* out) {
    INDEX;
    out[i] = gate_times(activation, gate[i], up[i]);
}

extern "C" __global__ void gelu_of(const float* x, int n, float* out) {
    INDEX;
    out[i] = (float)gelu((double)x[i]);
}
