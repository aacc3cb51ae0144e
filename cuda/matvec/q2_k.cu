#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q2_K, q2_k)
MATVEC(Q2_K, q2_k)
