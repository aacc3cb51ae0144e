#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q5_1, q5_1)
MATVEC(Q5_1, q5_1)
