#include "matvec/any.cuh"
#include "matvec/stream.cuh"

ANY(IQ4_NL, iq4_nl)
MATVEC(IQ4_NL, iq4_nl)
