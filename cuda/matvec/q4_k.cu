#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q4_K, q4_k)
MATVEC(Q4_K, q4_k)
