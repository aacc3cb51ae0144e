#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(F32, f32)
MATVEC(F32, f32)
