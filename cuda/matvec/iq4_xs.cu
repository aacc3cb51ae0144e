#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(IQ4_XS, iq4_xs)
MATVEC(IQ4_XS, iq4_xs)
