// Norms over groups of values, one block a group. Sums in f64, one rounding at the end.
#include "base.cuh"
#include "overlap.cuh"

// out = x / sqrt(mean(x²) + eps) · weight; sum = out + residual, where there is one. Grid: groups; `weight` has one
// group's values, or is null.
extern "C" __global__ void rms_norm(const float* x, const float* weight, float eps, int group, float* out,
                                    const float* residual, float* sum) {
    __shared__ double scratch[WARP];
    let_next_start();
    wait_for_previous();
    size_t first = (size_t)blockIdx.x * group;
    x += first;
    double square = 0;
    for (int i = threadIdx.x; i < group; i += blockDim.x) square += (double)x[i] * (double)x[i];
    double scale = 1.0 / sqrt(block_sum(square, scratch) / group + (double)eps);
    for (int i = threadIdx.x; i < group; i += blockDim.x) {
        float y = (float)((double)x[i] * scale * (weight ? (double)weight[i] : 1.0));
        out[first + i] = y;
        if (residual) sum[first + i] = y + residual[first + i];
    }
}

// out = (x − mean) / sqrt(var + eps) · weight + bias. Grid: 1.
extern "C" __global__ void layer_norm(const float* x, const float* weight, const float* bias, float eps, int n,
                                      float* out) {
    __shared__ double scratch[2][WARP];
    let_next_start();
    wait_for_previous();
    double sum = 0, square = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += (double)x[i];
    double mean = block_sum(sum, scratch[0]) / n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        double centred = (double)x[i] - mean;
        square += centred * centred;
    }
    double scale = 1.0 / sqrt(block_sum(square, scratch[1]) / n + (double)eps);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        double w = weight ? (double)weight[i] : 1.0, b = bias ? (double)bias[i] : 0.0;
        out[i] = (float)(((double)x[i] - mean) * scale * w + b);
    }
}
