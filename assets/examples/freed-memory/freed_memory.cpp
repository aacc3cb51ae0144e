// A logger that prints memory after it was freed: how good logits come to look like garbage.
//
//   c++ -std=c++11 -O1 freed_memory.cpp -o freed_memory
//   ./freed_memory              writes naive.jsonl (the flaw) and, beside the engine, truth.jsonl
//
// Every engine needs a model; this one's is a formula, so that the right values are known: all
// logits lie between -12 and 12. See README.md beside this file.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

const int max_tokens = 4096;

int setting(const char * name, int otherwise) {
    const char * text = std::getenv(name);
    return text != nullptr ? std::atoi(text) : otherwise;
}

const char * file_name(const char * variable, const char * otherwise) {
    const char * text = std::getenv(variable);
    return text != nullptr ? text : otherwise;
}

void write_record(FILE * file, int token_idx, const std::vector<float> & values) {
    std::fprintf(file, "{\"team\":\"freed-memory\",\"checkpoint\":\"logits\",\"token_idx\":%d,\"dtype\":\"f32\",\"shape\":\"[151936]\",\"values\":[", token_idx);
    for (size_t i = 0; i < values.size(); i++) std::fprintf(file, "%s%.6f", i > 0 ? "," : "", values[i]);
    std::fprintf(file, "]}\n");
}

// ---------------------------------------------------------------------------------------------------
// The flaw

class Logger {
  public:
    static Logger & instance() {
        static Logger logger;  // its destructor is registered when the constructor has returned …
        return logger;
    }

    void log(const std::vector<float> & logits, size_t count) {
        if (used < max_tokens) rows[used++].assign(logits.begin(), logits.begin() + count);
    }

  private:
    std::vector<float> rows[max_tokens];
    int                used = 0;

    Logger() { std::atexit(flush); }  // … so after this. What is registered last runs first.

    // By now every row's memory has been given back. The vectors still point at it, the allocator has
    // written its lists over the beginning of each block, and nothing crashes.
    static void flush() {
        Logger & logger = instance();
        FILE *   file   = std::fopen(file_name("ORCH_LOG_FILE", "naive.jsonl"), "w");
        if (file == nullptr) return;
        for (int i = 0; i < logger.used; i++) write_record(file, i, logger.rows[i]);
        std::fclose(file);
    }
};

// ---------------------------------------------------------------------------------------------------
// The engine, which is right

float logit(int position, int token) {
    const double phase = 0.7 * position + 1.3 * token + 0.11 * position * token;
    return (float) (6.0 * std::sin(phase) + 4.0 * std::cos(2.3 * phase) + 2.0 * std::sin(0.37 * token) - 1.0 / 3.0);
}

}  // namespace

int main() {
    const int    tokens = setting("TOKENS", 108);
    const size_t values = (size_t) setting("ORCH_LOG_VALUES", 10);
    FILE *       truth  = std::fopen(file_name("TRUTH", "truth.jsonl"), "w");
    if (truth == nullptr || tokens < 1 || tokens > max_tokens || values < 1 || values > 4096) return 2;

    // What an engine allocates between two rows and keeps: its cache, its text.
    std::vector<std::unique_ptr<std::string>> kept;
    std::vector<float>                        logits(4096);
    for (int position = 0; position < tokens; position++) {
        for (int token = 0; token < (int) logits.size(); token++) logits[token] = logit(position, token);
        kept.emplace_back(new std::string(24 + 40 * (position % 5), 'x'));
        Logger::instance().log(logits, values);
        write_record(truth, position, std::vector<float>(logits.begin(), logits.begin() + values));
    }
    std::fclose(truth);
    return 0;
}
