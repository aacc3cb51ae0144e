// What is known of a checkpoint without its values.
#include "base.cuh"
#include "overlap.cuh"

struct Region {
    const float* values;  // growing: the base of its kind
    int width;            // values; growing: values a visible position
    int before;           // −1: fixed; growing: values a visible position that lie before these
};

struct Statistics {
    float min;  // of the finite values; +Inf where there are none
    float max;  // of the finite values; −Inf where there are none
    double rms; // of the finite values
    uint64_t non_finite;
};

// One block a checkpoint.
extern "C" __global__ void statistics(const Step* step, const Region* regions, Statistics* out) {
    __shared__ double scratch[4][WARP];
    let_next_start();
    wait_for_previous();
    Region region = regions[blockIdx.x];
    uint64_t visible = region.before < 0 ? 1 : (uint64_t)step->position + 1, n = visible * region.width;
    const float* values = region.values + (region.before < 0 ? 0 : visible * region.before);
    const double infinite = __longlong_as_double(0x7ff0000000000000ll);
    double max = -infinite, negated_min = -infinite, square = 0, bad = 0;
    for (uint64_t i = threadIdx.x; i < n; i += blockDim.x) {
        double v = values[i];
        if (v - v == 0.0) {
            max = larger(max, v);
            negated_min = larger(negated_min, -v);
            square += v * v;
        } else {
            bad += 1;
        }
    }
    max = block_max(max, scratch[0]);
    negated_min = block_max(negated_min, scratch[1]);
    square = block_sum(square, scratch[2]);
    bad = block_sum(bad, scratch[3]);
    if (threadIdx.x == 0) {
        double finite = (double)n - bad;
        out[blockIdx.x] = {(float)-negated_min, (float)max, finite > 0 ? sqrt(square / finite) : 0.0, (uint64_t)bad};
    }
}
