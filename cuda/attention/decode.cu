#include "attention/decode.cuh"

#define ATTEND(T, type, GROUP)                                                             \
    extern "C" __global__ void __launch_bounds__(ATTEND_THREADS, 1)                        \
        attend_##type##_##GROUP(const __grid_constant__ Attention a) {                     \
        attend<T, GROUP>(a);                                                               \
    }

ATTEND(float, f32, 1)
ATTEND(float, f32, 2)
ATTEND(float, f32, 4)
ATTEND(float, f32, 8)
ATTEND(uint16_t, f16, 1)
ATTEND(uint16_t, f16, 2)
ATTEND(uint16_t, f16, 4)
ATTEND(uint16_t, f16, 8)

extern "C" __global__ void attend_probabilities(const __grid_constant__ Attention a, int splits, float* out,
                                                int out_before) {
    probabilities(a, splits, out, out_before);
}
