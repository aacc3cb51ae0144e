#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(MXFP4, mxfp4)
MATVEC(MXFP4, mxfp4)
