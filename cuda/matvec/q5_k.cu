#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q5_K, q5_k)
MATVEC(Q5_K, q5_k)
