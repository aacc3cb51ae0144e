// The mistake of the study, made on purpose: records are written by objects that are being destroyed or are
// gone already. The implementation is in another file, in C.
#include "paritty_trace.h"

#include <cstdlib>
#include <cstring>

#include "host.h"

namespace {

void record(const char * site, int layer, uint32_t tag) {
    float values[16];
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t bits = host_bits(0, tag, i);
        std::memcpy(values + i, &bits, 4);
    }
    paritty_trace_tensor(0, site, layer, PARITTY_TRACE_F32, values, 16, 1);
}

// A global whose destructor records; constructed before main, destroyed after everything local.
struct Global {
    ~Global() { record("attn_norm", 0, 1); }
} global;

struct Logger {
    Logger() { std::atexit([] { Logger::instance().flush(); }); }
    ~Logger() { record("attn_norm", 1, 2); }
    void flush() { record("attn_norm", 2, 3); }

    static Logger & instance() {
        static Logger logger;
        return logger;
    }
};

}  // namespace

int main(int argc, char ** argv) {
    paritty_trace_open("statics", nullptr);
    Logger::instance();
    record("embd", PARITTY_TRACE_NO_LAYER, 4);
    if (argc > 1 && std::strcmp(argv[1], "quick_exit") == 0) std::quick_exit(0);
    return 0;
}
