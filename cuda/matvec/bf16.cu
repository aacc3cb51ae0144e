#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(BF16, bf16)
MATVEC(BF16, bf16)
