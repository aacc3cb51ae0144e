#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q8_0, q8_0)
MATVEC(Q8_0, q8_0)
