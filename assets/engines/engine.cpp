// An engine that paritty drives (cmd:): llama.cpp's own API, one token at a time, layers and logits shown.
//   paritty inspect model.gguf --reference ref.jsonl --candidate "cmd:build/paritty-engine"
// Build: see README.md beside this file. Put your own engine in the place of load, step and rewind.
#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

static int position = -1;  // of the token being computed

// Values as text need no sidecar; %.9g gives every float back exactly.
static void record(const char * checkpoint, const float * values, size_t n) {
    printf("{\"checkpoint\":\"%s\",\"token_idx\":%d,\"dtype\":\"f32\",\"shape\":[%zu],\"values\":[", checkpoint, position, n);
    for (size_t i = 0; i < n; i++) {
        if (i) putchar(',');
        if (std::isfinite(values[i])) printf("%.9g", (double) values[i]);
        else fputs(std::isnan(values[i]) ? "NaN" : values[i] > 0 ? "Infinity" : "-Infinity", stdout);
    }
    puts("]}");
}

// llama.cpp calls this for every tensor: first to ask whether it is wanted, then with its values.
static bool tap(ggml_tensor * t, bool ask, void *) {
    const bool wanted = !std::string(t->name).rfind("l_out-", 0) && t->type == GGML_TYPE_F32;
    if (ask || !wanted) return wanted;
    std::vector<float> values(ggml_nelements(t));
    ggml_backend_tensor_get(t, values.data(), 0, ggml_nbytes(t));
    record(t->name, values.data(), values.size());
    return true;
}

// Requests are one flat line of JSON; a real engine would use a JSON library.
static std::string text(const std::string & line, const std::string & key) {
    const size_t from = line.find("\"" + key + "\":\"");
    return from == std::string::npos ? "" : line.substr(from + key.size() + 4, line.find('"', from + key.size() + 4) - from - key.size() - 4);
}
static int number(const std::string & line, const std::string & key) {
    const size_t from = line.find("\"" + key + "\":");
    return from == std::string::npos ? -1 : atoi(line.c_str() + from + key.size() + 3);
}

int main() {
    llama_log_set([](ggml_log_level level, const char * said, void *) { if (level >= GGML_LOG_LEVEL_ERROR) fputs(said, stderr); }, nullptr);
    llama_model * model = nullptr;
    llama_context * context = nullptr;
    for (std::string line; std::getline(std::cin, line); fflush(stdout)) {
        position = number(line, "position");
        if (line.rfind("{\"load\"", 0) == 0) {
            model = llama_model_load_from_file(text(line, "model").c_str(), llama_model_default_params());
            llama_context_params params = llama_context_default_params();
            params.cb_eval         = tap;
            params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
            context = model ? llama_init_from_model(model, params) : nullptr;
            puts(context ? "{\"paritty\":1,\"team\":\"engine.cpp\",\"backend\":\"llama.cpp\"}" : "{\"error\":\"llama.cpp cannot load this model\"}");
        } else if (line.rfind("{\"step\"", 0) == 0) {
            llama_token token = number(line, "token");
            if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) { puts("{\"error\":\"llama_decode failed\"}"); continue; }
            record("result_output", llama_get_logits(context), llama_vocab_n_tokens(llama_model_get_vocab(model)));
            printf("{\"token_idx\":%d,\"complete\":true}\n", position);
        } else if (line.rfind("{\"rewind\"", 0) == 0) {
            llama_memory_seq_rm(llama_get_memory(context), 0, position, -1);
            printf("{\"rewind\":%d}\n", position);
        }
    }
}
