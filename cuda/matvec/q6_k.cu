#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q6_K, q6_k)
MATVEC(Q6_K, q6_k)
