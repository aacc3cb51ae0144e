#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(F16, f16)
MATVEC(F16, f16)
