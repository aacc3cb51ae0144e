#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q4_1, q4_1)
MATVEC(Q4_1, q4_1)
