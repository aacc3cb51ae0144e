#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(Q3_K, q3_k)
MATVEC(Q3_K, q3_k)
