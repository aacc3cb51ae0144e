// Two loggers on one engine: one prints memory after it was freed, one does not.
//
//   c++ -std=c++11 -O1 -pthread -I../../loggers freed_memory.cpp -o freed_memory
//   ORCH_LOG_FILE=naive.jsonl ./freed_memory naive
//   ORCH_LOG_FILE=fixed.jsonl ./freed_memory fixed
//
// The engine is a formula, so that the right values are known: every logit lies between -12.4 and 11.7.
// README.md beside this file says what is to be seen.

#define PARITTY_TRACE_IMPLEMENTATION
#include "paritty_trace.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

const int max_tokens = 4096;

// ---------------------------------------------------------------------------------------------------
// The flaw. Nothing here looks wrong.

class Logger {
  public:
    static Logger & instance() {
        static Logger logger;  // the destructor is registered when the constructor has returned …
        return logger;
    }

    void log(const std::vector<float> & logits, size_t count) {
        if (used < max_tokens) rows[used++].assign(logits.begin(), logits.begin() + (long) count);
    }

  private:
    std::vector<float> rows[max_tokens];
    int                used = 0;

    Logger() { std::atexit(flush); }  // … so after this handler. What was registered last runs first.

    // By now every row has been given back. The vectors still point at their memory, the allocator has written
    // its lists over the beginning of each block, and nothing crashes.
    static void flush() {
        const char * path   = std::getenv("ORCH_LOG_FILE");
        FILE *       file   = path != nullptr ? std::fopen(path, "w") : nullptr;
        Logger &     logger = instance();
        if (file == nullptr) return;
        for (int i = 0; i < logger.used; i++) {
            std::fprintf(file, "{\"checkpoint\":\"logits\",\"team\":\"naive\",\"token_idx\":%d,\"dtype\":\"f32\",\"shape\":\"[4096]\",\"values\":[", i);
            for (size_t k = 0; k < logger.rows[i].size(); k++) std::fprintf(file, "%s%.6f", k > 0 ? "," : "", (double) logger.rows[i][k]);
            std::fprintf(file, "]}\n");
        }
        std::fclose(file);
    }
};

// ---------------------------------------------------------------------------------------------------
// The engine, which is right

float logit(int position, int token) {
    const double phase = 0.7 * position + 1.3 * token + 0.11 * position * token;
    return (float) (6.0 * std::sin(phase) + 4.0 * std::cos(2.3 * phase) + 2.0 * std::sin(0.37 * token) - 1.0 / 3.0);
}

int setting(const char * name, int otherwise) {
    const char * text = std::getenv(name);
    return text != nullptr ? std::atoi(text) : otherwise;
}

}  // namespace

int main(int argc, char ** argv) {
    const bool fixed = argc > 1 && std::strcmp(argv[1], "fixed") == 0;
    setenv("ORCH_LOG_VALUES", "10", 0);
    const int tokens = setting("TOKENS", 40), values = setting("ORCH_LOG_VALUES", 10);
    if (tokens < 1 || tokens > max_tokens || values < 1 || values > 4096) return 2;
    if (fixed) paritty_trace_open("fixed", nullptr);

    std::vector<std::unique_ptr<std::string>> kept;  // what an engine allocates between two rows and keeps
    std::vector<float>                        logits(4096);
    for (int position = 0; position < tokens; position++) {
        for (int token = 0; token < (int) logits.size(); token++) logits[(size_t) token] = logit(position, token);
        kept.emplace_back(new std::string((size_t) (24 + 40 * (position % 5)), 'x'));
        if (fixed) {
            paritty_trace_tensor((uint32_t) position, "result_output", PARITTY_TRACE_NO_LAYER, PARITTY_TRACE_F32, logits.data(), logits.size(), 1);
            paritty_trace_complete((uint32_t) position);
        } else {
            Logger::instance().log(logits, (size_t) values);
        }
    }
    paritty_trace_end();
    return 0;
}
