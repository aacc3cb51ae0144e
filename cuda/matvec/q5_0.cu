#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q5_0, q5_0)
MATVEC(Q5_0, q5_0)
