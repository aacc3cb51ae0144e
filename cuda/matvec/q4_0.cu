#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q4_0, q4_0)
MATVEC(Q4_0, q4_0)
