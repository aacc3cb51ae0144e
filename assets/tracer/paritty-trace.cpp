// paritty-trace: runs a model with llama.cpp and records what it computes as a paritty trace.
//
// One file, for your own llama.cpp tree; nothing of llama.cpp is changed. Names, shapes and bytes are
// those of `paritty trace --engine llama.cpp`, whose sources explain the rules at more length.
// See CMakeLists.txt and README.md beside this file.

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <utility>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"
#include "gguf.h"
#include "llama.h"

namespace {

// ---------------------------------------------------------------------------------------------------
// Small things

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

volatile std::sig_atomic_t stop_signal = 0;

void on_signal(int signal) {
    stop_signal = signal;
    std::signal(signal, SIG_DFL);  // a second one ends the program at once
}

bool starts_with(const std::string & text, const std::string & prefix) {
    return text.compare(0, prefix.size(), prefix) == 0;
}

bool all_digits(const std::string & text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

// Bytes that are no UTF-8 become U+FFFD, one for each longest prefix of a valid sequence.
std::string valid_utf8(const std::string & text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const auto byte = [&](size_t k) { return k < text.size() ? (unsigned char) text[k] : 0u; };
        const unsigned lead = byte(i);
        size_t   length = lead < 0x80 ? 1 : lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
        unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        size_t   good = length == 0 ? 0 : 1;
        while (good < length && byte(i + good) >= low && byte(i + good) <= high) {
            good++;
            low = 0x80, high = 0xBF;
        }
        if (length > 0 && good == length) {
            out.append(text, i, length);
        } else {
            out += "\xEF\xBF\xBD";
        }
        i += std::max<size_t>(good, 1);
    }
    return out;
}

std::string quoted(const std::string & text) {
    std::string out = "\"";
    for (const char c : valid_utf8(text)) {
        switch (c) {
            case '"':  out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if ((unsigned char) c < 0x20) {
                    char code[8];
                    std::snprintf(code, sizeof code, "\\u%04x", (unsigned) c);
                    out += code;
                } else {
                    out += c;
                }
        }
    }
    return out + "\"";
}

// The shortest decimal that gives the same float back; what is not finite as a string.
void append_number(std::string & out, float value) {
    if (std::isnan(value)) {
        out += "\"NaN\"";
    } else if (std::isinf(value)) {
        out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    } else {
        char text[32];
        const auto end = std::to_chars(text, text + sizeof text, value).ptr;
        const bool whole = std::none_of(text, end, [](char c) { return c == '.' || c == 'e'; });
        out.append(text, end);
        if (whole) out += ".0";
    }
}

// ---------------------------------------------------------------------------------------------------
// llama.cpp's log: kept for error messages, shown only on request

struct Log {
    bool           verbose = false;
    ggml_log_level level   = GGML_LOG_LEVEL_NONE;
    std::string    errors, warnings;
} llama_log;

void on_log(ggml_log_level level, const char * text, void *) {
    if (level != GGML_LOG_LEVEL_CONT) llama_log.level = level;
    if (llama_log.verbose) std::fputs(text, stderr);
    if (llama_log.level == GGML_LOG_LEVEL_ERROR) llama_log.errors += text;
    if (llama_log.level == GGML_LOG_LEVEL_WARN) llama_log.warnings += text;
}

std::string reason() {
    std::string text = llama_log.errors.empty() ? llama_log.warnings : llama_log.errors;
    while (!text.empty() && std::isspace((unsigned char) text.back())) text.pop_back();
    for (size_t at; (at = text.find('\n')) != std::string::npos;) text.replace(at, 1, "; ");
    return text.empty() ? "it gave no reason (try --verbose)" : text;
}

// ---------------------------------------------------------------------------------------------------
// From a node of the graph to a checkpoint

enum class Layout { Flat, Heads, Scores };

struct Checkpoint {
    std::string site;
    int         layer = -1;

    std::string name() const { return layer < 0 ? site : site + "-" + std::to_string(layer); }

    // Flat: [width, tokens]. Heads: [head_dim, heads, tokens]. Scores: [cache, tokens, heads], of which
    // only the visible positions mean anything: the cache is padded.
    Layout layout(const std::string & op) const {
        if (site == "kq" || site == "kq_soft_max") return Layout::Scores;
        static const std::set<std::string> by_head = { "Qcur_normed", "Kcur_normed", "Qcur_rope", "Kcur_rope", "Qcur_scaled" };
        const bool part = op == "VIEW" && (site == "Qcur" || site == "Kcur" || site == "Vcur");
        return part || by_head.count(site) ? Layout::Heads : Layout::Flat;
    }
};

// llama.cpp gives one name to several nodes and none to some, so a node is known by its name, its
// operation and its sources. Which projections are followed by a bias is known from the file.
class Resolver {
  public:
    void add_tensor(const std::string & name) {
        const auto [layer, rest] = split_weight(name);
        const std::string bias = ".bias";
        if (layer >= 0 && rest.size() > bias.size() && rest.compare(rest.size() - bias.size(), bias.size(), bias) == 0) {
            biases.insert({ layer, rest.substr(0, rest.size() - bias.size()) });
        }
    }

    std::optional<Checkpoint> resolve(const ggml_tensor * node) const {
        const std::string name = plain(node);
        if (name.find(" (") != std::string::npos) return turned_back(node);  // a view or copy that ggml named itself
        const auto [base, layer] = split_layer(name);
        const std::string op   = ggml_op_desc(node);
        const std::string site = layer < 0 ? outside_layers(name, op) : in_layer(base, layer, op);
        if (!site.empty()) return Checkpoint{ site, layer };
        return by_sources(node, op);
    }

    // With a quantised cache llama.cpp turns values before it stores them, and attention's output back afterwards,
    // but gives the name kqv_out to what is not turned back yet.
    static bool turns(const ggml_tensor * node) {
        return std::string(ggml_op_desc(node)) == "MUL_MAT" && node->src[0] != nullptr && plain(node->src[0]) == "attn_inp_v_rot";
    }

  private:
    std::set<std::pair<int, std::string>> biases;

    static std::optional<Checkpoint> turned_back(const ggml_tensor * node) {
        const ggml_tensor * product = node->src[0];
        if (std::string(ggml_op_desc(node)) != "RESHAPE" || product == nullptr || !turns(product)) return {};
        for (const ggml_tensor * mix = product->src[1]; mix != nullptr; mix = mix->src[0]) {
            const auto [base, layer] = split_layer(plain(mix));
            if (base == "kqv_out" && layer >= 0) return Checkpoint{ "kqv_out", layer };
            const std::string op = ggml_op_desc(mix);
            if (op != "RESHAPE" && op != "CONT") return {};
        }
        return {};
    }

    bool has_bias(int layer, const std::string & weight) const { return biases.count({ layer, weight }) > 0; }

    // Without what a back-end's copy adds: CUDA0#inp_tokens#0 is inp_tokens.
    static std::string plain(const ggml_tensor * tensor) {
        const std::string name = tensor->name;
        const size_t first = name.find('#'), last = name.rfind('#');
        const bool copy = first != std::string::npos && first > 0 && last > first && last + 1 < name.size();
        return copy && all_digits(name.substr(last + 1)) ? name.substr(first + 1, last - first - 1) : name;
    }

    static std::pair<std::string, int> split_layer(const std::string & name) {
        const size_t dash = name.rfind('-');
        if (dash == std::string::npos || dash == 0 || dash + 1 == name.size() || name.size() - dash > 9) return { name, -1 };
        const std::string digits = name.substr(dash + 1);
        return all_digits(digits) ? std::make_pair(name.substr(0, dash), std::stoi(digits)) : std::make_pair(name, -1);
    }

    static std::pair<int, std::string> split_weight(const std::string & name) {
        const size_t dot = starts_with(name, "blk.") ? name.find('.', 4) : std::string::npos;
        if (dot == std::string::npos || dot == 4 || dot > 12 || !all_digits(name.substr(4, dot - 4))) return { -1, "" };
        return { std::stoi(name.substr(4, dot - 4)), name.substr(dot + 1) };
    }

    static std::string outside_layers(const std::string & name, const std::string & op) {
        if (name == "embd") return op == "GET_ROWS" ? "embd" : "inpL";
        if (name == "inp_scaled") return "inpL";
        return name == "pos_embd" || name == "inpL" || name == "result_norm" || name == "result_output" ? name : "";
    }

    std::string in_layer(const std::string & base, int layer, const std::string & op) const {
        const bool product = op == "MUL_MAT";
        if (base == "Qcur" || base == "Kcur" || base == "Vcur") {
            const std::string weight = std::string("attn_") + (char) std::tolower(base[0]);
            if (product) return has_bias(layer, weight) ? base + "_mm" : base;
            if (op == "ADD" || op == "VIEW") return base;
            if (op == "ROPE" && base != "Vcur") return base + "_rope";
            return op == "SCALE" && base == "Qcur" ? "Qcur_scaled" : "";
        }
        if (base == "kq") return product ? base : "";
        if (base == "ffn_gate" || base == "ffn_up") return product && !has_bias(layer, base) ? base : "";
        static const std::map<std::string, std::string> others = {
            { "ffn_gate_b", "ffn_gate" }, { "ffn_up_b", "ffn_up" }, { "sa_out", "ffn_inp" }, { "ffn_geglu", "ffn_gelu" },
        };
        static const std::set<std::string> same = {
            "attn_norm", "wqkv", "wqkv_b", "Qcur_normed", "Kcur_normed", "kq_soft_max", "kqv_out", "attn_out", "attn_post_norm",
            "ffn_inp", "ffn_norm", "ffn_swiglu", "ffn_gelu", "ffn_out", "ffn_post_norm", "l_out",
        };
        const auto other = others.find(base);
        return other != others.end() ? other->second : same.count(base) ? base : "";
    }

    // Nodes that llama.cpp leaves without a name of their own, or without a layer in it.
    std::optional<Checkpoint> by_sources(const ggml_tensor * node, const std::string & op) const {
        const ggml_tensor * first = node->src[0];
        const ggml_tensor * second = node->src[1];
        if (first == nullptr) return {};
        if (op == "GET_ROWS" && plain(first) == "token_embd.weight") return Checkpoint{ "embd" };
        if (op == "MUL_MAT") {
            const auto [layer, weight] = split_weight(plain(first));
            if (weight == "attn_output.weight" && !has_bias(layer, "attn_output")) return Checkpoint{ "attn_out", layer };
        }
        if (op == "ADD" && second != nullptr) {
            const auto [layer, weight] = split_weight(plain(second));
            if (weight == "attn_output.bias") return Checkpoint{ "attn_out", layer };
            // phi3: attention's output, perhaps only its rows that are wanted, plus the residual.
            if (layer < 0 && split_layer(node->name).second < 0) {
                const int from = attention_output(first);
                if (from >= 0) return Checkpoint{ "ffn_inp", from };
            }
        }
        if (op == "SCALE" && std::string(ggml_op_desc(first)) == "ROPE") {  // gemma
            const auto [base, layer] = split_layer(plain(first));
            if (base == "Qcur" && layer >= 0) return Checkpoint{ "Qcur_scaled", layer };
        }
        if (op == "MUL" && second != nullptr) {  // gemma2
            const auto [layer, weight] = split_weight(plain(second));
            if (weight == "post_ffw_norm.weight") return Checkpoint{ "ffn_post_norm", layer };
        }
        return {};
    }

    int attention_output(const ggml_tensor * node) const {
        if (std::string(ggml_op_desc(node)) == "GET_ROWS") node = node->src[0];
        if (node == nullptr) return -1;
        const std::string op = ggml_op_desc(node);
        if (op != "MUL_MAT" && op != "ADD") return -1;
        const auto checkpoint = resolve(node);
        return checkpoint && checkpoint->site == "attn_out" ? checkpoint->layer : -1;
    }
};

// ---------------------------------------------------------------------------------------------------
// Which checkpoints are recorded

class Capture {
  public:
    explicit Capture(const std::string & set) : set(set) {
        if (set != "all" && set != "layers" && set != "logits" && !off()) {
            try {
                pattern = std::regex(set, std::regex::ECMAScript);
            } catch (const std::regex_error & error) {
                throw Failure("--checkpoints " + set + ": " + error.what());
            }
        }
    }

    bool off() const { return set == "off" || set == "none"; }

    bool contains(const Checkpoint & checkpoint) const {
        const std::string & site = checkpoint.site;
        if (off()) return false;
        if (set == "all") return true;
        if (set == "logits") return site == "result_output";
        if (set == "layers") {
            return site == "embd" || site == "inpL" || site == "l_out" || site == "result_norm" || site == "result_output";
        }
        return std::regex_search(checkpoint.name(), pattern);
    }

  private:
    std::string set;
    std::regex  pattern;
};

// ---------------------------------------------------------------------------------------------------
// The trace: sidecar bytes before the lines that name them

class Writer {
  public:
    Writer(const std::string & path, const std::string & team, std::optional<size_t> values) : team(team), values(values) {
        if (path == "-") {
            text_file = stdout;
            if (!values) this->values = SIZE_MAX;
            return;
        }
        if (!values) {
            const size_t slash = path.find_last_of("/\\"), dot = path.rfind('.');
            const size_t from = slash == std::string::npos ? 0 : slash + 1;
            const bool extension = dot != std::string::npos && dot > from;
            const std::string beside = (extension ? path.substr(0, dot) : path) + ".bin";
            if (beside == path) throw Failure(path + ": a trace needs a name that does not end in .bin");
            std::remove(path.c_str());
            sidecar_name = beside.substr(from);
            sidecar = open(beside);
        }
        text_file = open(path);
    }

    ~Writer() {
        try {
            flush();
        } catch (const Failure &) {  // nobody is left to be told
        }
        if (sidecar != nullptr) std::fclose(sidecar);
        if (text_file != nullptr && text_file != stdout) std::fclose(text_file);
    }

    Writer(const Writer &) = delete;
    Writer & operator=(const Writer &) = delete;

    // Plain name of the sidecar, if there is one.
    std::string sidecar_name;

    void header(const std::string & line) {
        text += line + "\n";
        flush();
    }

    void token(int position, llama_token id, const std::string & piece, bool from_prompt, size_t columns) {
        positions++;
        text += "{\"token_idx\":" + std::to_string(position) + ",\"token\":" + std::to_string(id) + ",\"piece\":" + quoted(piece) +
                ",\"from\":\"" + (from_prompt ? "prompt" : "sample") + "\",\"columns\":" + std::to_string(columns) + "}\n";
    }

    void tensor(int position, const std::string & checkpoint, const std::string & tensor, const std::string & op,
                const std::vector<int64_t> & shape, const float * data, size_t count) {
        records++;
        text += "{\"checkpoint\":" + quoted(checkpoint);
        if (tensor != checkpoint) text += ",\"tensor\":" + quoted(tensor);
        text += ",\"op\":" + quoted(op) + ",\"team\":" + quoted(team) + ",\"token_idx\":" + std::to_string(position) +
                ",\"dtype\":\"f32\",\"shape\":[";
        for (size_t i = 0; i < shape.size(); i++) text += (i > 0 ? "," : "") + std::to_string(shape[i]);
        text += "]";
        if (values) {
            text += ",\"values\":[";
            for (size_t i = 0; i < std::min(count, *values); i++) {
                if (i > 0) text += ",";
                append_number(text, data[i]);
            }
            text += "]";
        } else {
            const size_t bytes = count * sizeof(float);
            if (std::fwrite(data, 1, bytes, sidecar) != bytes) throw Failure("the sidecar cannot be written");
            text += ",\"offset\":" + std::to_string(offset) + ",\"bytes\":" + std::to_string(bytes);
            offset += bytes;
        }
        text += "}\n";
        if (text.size() > (256u << 10)) flush();
    }

    void complete(int position) {
        text += "{\"complete\":true,\"token_idx\":" + std::to_string(position) + "}\n";
        flush();
    }

    void end() {
        text += "{\"end\":true,\"positions\":" + std::to_string(positions) + ",\"records\":" + std::to_string(records) + "}\n";
        flush();
    }

  private:
    std::string           team, text;
    std::optional<size_t> values;
    FILE *                text_file = nullptr;
    FILE *                sidecar   = nullptr;
    size_t                offset = 0, positions = 0, records = 0;

    static FILE * open(const std::string & path) {
        std::remove(path.c_str());  // whoever reads the old one keeps it
        FILE * file = std::fopen(path.c_str(), "wb");
        if (file == nullptr) throw Failure(path + ": " + std::strerror(errno));
        return file;
    }

    void flush() {
        if (sidecar != nullptr && std::fflush(sidecar) != 0) throw Failure("the sidecar cannot be written");
        const bool written = std::fwrite(text.data(), 1, text.size(), text_file) == text.size() && std::fflush(text_file) == 0;
        text.clear();
        if (!written) throw Failure("the trace cannot be written");
    }
};

// ---------------------------------------------------------------------------------------------------
// The tap

struct Tap {
    const Resolver *    resolver = nullptr;
    const Capture *     capture  = nullptr;
    Writer *            writer   = nullptr;
    int                 position = 0;  // of the batch's first token
    int64_t             columns  = 1;
    std::string         failure;
    const ggml_tensor * pending = nullptr;  // asked for last
    bool                turned  = false;    // values are, before they are stored
    Checkpoint          checkpoint;
    std::vector<float>  storage, row;

    // Asked before a node is computed; its data must not be read yet.
    bool wants(const ggml_tensor * node) {
        pending = nullptr;
        if (!(node->flags & GGML_TENSOR_FLAG_COMPUTE)) return false;  // a dead branch: never computed
        turned = turned || Resolver::turns(node);
        const auto found = resolver->resolve(node);
        if (!found || !capture->contains(*found)) return false;
        if (turned && found->site == "kqv_out" && std::string(node->name).find("kqv_out") != std::string::npos) return false;
        pending    = node;
        checkpoint = *found;
        return true;
    }

    // The node has just been computed; the next one may overwrite it.
    void computed(const ggml_tensor * node) {
        if (pending != node) return;
        pending = nullptr;
        const std::string op     = ggml_op_desc(node);
        const Layout      layout = checkpoint.layout(op);
        const int         rows   = layout == Layout::Heads ? 2 : 1;
        const int64_t     kept   = layout == Layout::Heads ? node->ne[1] : layout == Layout::Scores ? node->ne[2] : 1;
        if (node->type != GGML_TYPE_F32 || node->nb[0] != sizeof(float) || node->ne[rows] != columns ||
            node->ne[0] * kept * columns != ggml_nelements(node)) {
            throw Failure(std::string("node ") + node->name + " has another type or shape than this program knows");
        }
        const float * data = values(node);
        for (int64_t column = 0; column < columns; column++) {
            const int64_t at    = position + column;
            const int64_t inner = layout == Layout::Scores ? std::min(node->ne[0], at + 1) : node->ne[0];
            const size_t  step  = layout == Layout::Flat ? 0 : node->nb[layout == Layout::Heads ? 1 : 2] / sizeof(float);
            const float * start = data + column * (node->nb[rows] / sizeof(float));
            if (kept > 1 && step != (size_t) inner) {
                row.resize(inner * kept);
                for (int64_t i = 0; i < kept; i++) std::copy_n(start + i * step, inner, row.data() + i * inner);
                start = row.data();
            }
            std::vector<int64_t> shape = { inner };
            if (layout != Layout::Flat) shape.push_back(kept);
            writer->tensor((int) at, checkpoint.name(), node->name, op, shape, start, inner * kept);
        }
    }

    const float * values(const ggml_tensor * node) {
        ggml_backend_buffer_t buffer = node->view_src ? node->view_src->buffer : node->buffer;
        if (buffer != nullptr && ggml_backend_buffer_is_host(buffer)) return (const float *) node->data;
        storage.resize(ggml_nbytes(node) / sizeof(float));
        ggml_backend_tensor_get(node, storage.data(), 0, storage.size() * sizeof(float));
        return storage.data();
    }

    static bool callback(ggml_tensor * node, bool ask, void * self) {
        Tap & tap = *(Tap *) self;
        if (!tap.failure.empty()) return false;
        try {
            if (ask) return tap.wants(node);
            tap.computed(node);
            return true;
        } catch (const std::exception & error) {
            tap.failure = error.what();
            return false;
        }
    }
};

// ---------------------------------------------------------------------------------------------------
// The command line

const char * USAGE =
    "usage: paritty-trace MODEL.gguf (--prompt TEXT | --prompt-file FILE | --tokens ID,ID,...) -o OUT.jsonl\n"
    "  -n N              tokens to generate after the prompt; each is fed and recorded (0)\n"
    "  --checkpoints SET all, layers, logits, off, or a regular expression (all)\n"
    "  --threads N       threads that compute (half of the cores)\n"
    "  --flash-attn on|off   fuse attention; its scores are then not recorded (off)\n"
    "  --kv TYPE         type of the key and value cache: f32, f16, bf16, q8_0, ... (f16)\n"
    "  --ctx N           positions to open the run for, if more than are computed (long RoPE factors depend on it)\n"
    "  --batch-prefill   compute the prompt in batches of --ubatch N tokens (512)\n"
    "  --gpu-layers N    layers on the GPU (0)\n"
    "  --no-repack       keep weights as they lie in the file\n"
    "  --temperature T   draw tokens at this temperature (0: take the most probable one)\n"
    "  --top-k K, --top-p P, --seed N   for drawing (40, 0.95, 1)\n"
    "  --ignore-eos      go on after a token that ends the text\n"
    "  --no-bos          do not begin the prompt with the token that begins a text\n"
    "  --team NAME       name of the engine in the trace (llama.cpp)\n"
    "  --values N        write only the first N values of each record, as text\n"
    "  --verbose         show llama.cpp's log\n"
    "Environment: ORCH_LOG_FILE, ORCH_LOG_TEAM, ORCH_LOG_VALUES.\n";

struct Options {
    std::string                             model, output, checkpoints = "all", kv = "f16", team = "llama.cpp";
    std::optional<std::string>              prompt;
    std::optional<std::vector<llama_token>> tokens;
    std::optional<size_t>                   values;
    uint32_t ctx = 0;
    int   n = 0, threads = 0, ubatch = 512, gpu_layers = 0, top_k = 40;
    float temperature = 0.0f, top_p = 0.95f;
    unsigned seed = 1;
    bool  flash_attn = false, batch_prefill = false, repack = true, ignore_eos = false, no_bos = false, verbose = false;
};

template <typename T> T number(const std::string & text, const std::string & what, T least) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= least)) {
        throw Failure(what + " " + text + ": this is no number that makes sense here");
    }
    return value;
}

std::string read_file(const std::string & path) {
    if (path == "-") return { std::istreambuf_iterator<char>(std::cin), {} };
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Failure(path + ": cannot be read");
    return { std::istreambuf_iterator<char>(file), {} };
}

Options parse(int argc, char ** argv) {
    Options o;
    if (const char * v = std::getenv("ORCH_LOG_FILE")) o.output = v;
    if (const char * v = std::getenv("ORCH_LOG_TEAM")) o.team = v;
    if (const char * v = std::getenv("ORCH_LOG_VALUES")) o.values = number<size_t>(v, "ORCH_LOG_VALUES", 0);
    for (int i = 1; i < argc; i++) {
        const std::string arg = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 >= argc) throw Failure(arg + " needs a value");
            return argv[++i];
        };
        if (arg == "-h" || arg == "--help") { std::fputs(USAGE, stdout); std::exit(0); }
        else if (arg == "--prompt") o.prompt = value();
        else if (arg == "--prompt-file") o.prompt = read_file(value());
        else if (arg == "--tokens") {
            o.tokens.emplace();
            std::string list = value() + ",";
            for (size_t from = 0, to; (to = list.find(',', from)) != std::string::npos; from = to + 1) {
                o.tokens->push_back(number<llama_token>(list.substr(from, to - from), arg, 0));
            }
        }
        else if (arg == "-n") o.n = number<int>(value(), arg, 0);
        else if (arg == "-o" || arg == "--output") o.output = value();
        else if (arg == "--checkpoints") o.checkpoints = value();
        else if (arg == "--threads") o.threads = number<int>(value(), arg, 1);
        else if (arg == "--flash-attn") {
            const std::string v = value();
            if (v != "on" && v != "off") throw Failure("--flash-attn is on or off, not " + v);
            o.flash_attn = v == "on";
        }
        else if (arg == "--kv") o.kv = value();
        else if (arg == "--batch-prefill") o.batch_prefill = true;
        else if (arg == "--ubatch") o.ubatch = number<int>(value(), arg, 1);
        else if (arg == "--ctx") o.ctx = (uint32_t) number<int>(value(), arg, 1);
        else if (arg == "--gpu-layers") o.gpu_layers = number<int>(value(), arg, -1);
        else if (arg == "--no-repack") o.repack = false;
        else if (arg == "--temperature") o.temperature = number<float>(value(), arg, 0.0f);
        else if (arg == "--top-k") o.top_k = number<int>(value(), arg, 0);
        else if (arg == "--top-p") o.top_p = number<float>(value(), arg, 0.0f);
        else if (arg == "--seed") o.seed = number<unsigned>(value(), arg, 0);
        else if (arg == "--ignore-eos") o.ignore_eos = true;
        else if (arg == "--no-bos") o.no_bos = true;
        else if (arg == "--team") o.team = value();
        else if (arg == "--values") o.values = number<size_t>(value(), arg, 0);
        else if (arg == "--verbose") o.verbose = true;
        else if (starts_with(arg, "-") || !o.model.empty()) throw Failure("unknown argument " + arg + "\n" + USAGE);
        else o.model = arg;
    }
    if (o.model.empty() || o.output.empty() || o.prompt.has_value() == o.tokens.has_value()) throw Failure(USAGE);
    if (o.threads == 0) o.threads = std::max(1u, (std::thread::hardware_concurrency() + 1) / 2);
    return o;
}

ggml_type kv_type(const std::string & name) {
    for (const ggml_type type : { GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q5_1, GGML_TYPE_Q5_0,
                                  GGML_TYPE_Q4_1, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL }) {
        if (name == ggml_type_name(type)) return type;
    }
    throw Failure("--kv " + name + ": llama.cpp has f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl");
}

// ---------------------------------------------------------------------------------------------------
// The model

struct Weights {
    std::map<std::string, size_t> tensors, parameters;  // by type; parameters of matrices only
    bool learned_positions = false;

    // Reads the list of tensors of every part of the model.
    void read(const std::string & path, Resolver & resolver) {
        const int parts = read_part(path, resolver);
        for (int part = 1; part < parts; part++) {
            char prefix[4096], name[4096];
            if (llama_split_prefix(prefix, sizeof prefix, path.c_str(), 0, parts) <= 0) {
                throw Failure(path + ": this is not the first part of a split model");
            }
            llama_split_path(name, sizeof name, prefix, part, parts);
            read_part(name, resolver);
        }
    }

    std::string main_type() const {
        std::string best;
        size_t      most = 0;
        for (const auto & [type, count] : parameters) {
            if (count >= most) best = type, most = count;
        }
        return best;
    }

  private:
    int read_part(const std::string & path, Resolver & resolver) {
        ggml_context * meta = nullptr;
        gguf_context * file = gguf_init_from_file(path.c_str(), { /*no_alloc =*/ true, /*ctx =*/ &meta });
        if (file == nullptr) throw Failure(path + ": its list of tensors cannot be read");
        for (ggml_tensor * tensor = ggml_get_first_tensor(meta); tensor != nullptr; tensor = ggml_get_next_tensor(meta, tensor)) {
            std::string type = ggml_type_name(tensor->type);
            for (char & c : type) c = (char) std::toupper((unsigned char) c);
            tensors[type]++;
            if (tensor->ne[1] > 1) parameters[type] += ggml_nelements(tensor);
            learned_positions |= std::string(tensor->name) == "position_embd.weight";
            resolver.add_tensor(tensor->name);
        }
        const int64_t key = gguf_find_key(file, "split.count");
        const int parts = key >= 0 && gguf_get_kv_type(file, key) == GGUF_TYPE_UINT16 ? gguf_get_val_u16(file, key) : 1;
        ggml_free(meta);
        gguf_free(file);
        return parts;
    }
};

std::string metadata(const llama_model * model, const char * key) {
    std::string text(256, '\0');
    int length = llama_model_meta_val_str(model, key, text.data(), text.size());
    if (length >= (int) text.size()) {
        text.resize(length + 1);
        length = llama_model_meta_val_str(model, key, text.data(), text.size());
    }
    text.resize(std::max(length, 0));
    return text;
}

std::string piece(const llama_vocab * vocab, llama_token token) {
    std::string text(64, '\0');
    int length = llama_token_to_piece(vocab, token, text.data(), (int) text.size(), 0, true);
    if (length < 0) {
        text.resize(-length);
        length = llama_token_to_piece(vocab, token, text.data(), (int) text.size(), 0, true);
    }
    text.resize(std::max(length, 0));
    return text;
}

std::vector<llama_token> tokenize(const llama_vocab * vocab, const std::string & text, bool open) {
    std::vector<llama_token> tokens(text.size() + 8);
    int count = llama_tokenize(vocab, text.data(), (int) text.size(), tokens.data(), (int) tokens.size(), open, true);
    if (count < 0 && count != INT_MIN) {
        tokens.resize(-count);
        count = llama_tokenize(vocab, text.data(), (int) text.size(), tokens.data(), (int) tokens.size(), open, true);
    }
    if (count < 0) throw Failure("the prompt is too long for llama.cpp's tokeniser");
    tokens.resize(count);
    return tokens;
}

std::string header(const Options & o, const llama_model * model, uint32_t n_ctx, const Weights & weights, size_t n_prompt, const std::string & sidecar) {
    const size_t slash = o.model.find_last_of("/\\"), from = slash == std::string::npos ? 0 : slash + 1, dot = o.model.rfind('.');
    const std::string stem = o.model.substr(from, dot != std::string::npos && dot > from ? dot - from : std::string::npos);
    struct stat file{};
    stat(o.model.c_str(), &file);
    std::string name = metadata(model, "general.name");
    std::string build = LLAMA_CPP_BUILD;
    build = (build.empty() ? std::string("llama.cpp") : "llama.cpp " + build) + ", ggml " + ggml_version() + " (" + ggml_commit() + ")";
    std::string system = llama_print_system_info();
    while (!system.empty() && (system.back() == ' ' || system.back() == '|')) system.pop_back();

    std::map<std::string, std::string> other;  // the rest of the settings, by name
    other["batch"]    = quoted(o.batch_prefill ? "prompt in batches" : "token by token");
    other["n_ubatch"] = std::to_string(o.batch_prefill ? o.ubatch : 1);
    other["repack"]   = o.repack ? "true" : "false";
    other["system"]   = quoted(system);
    ggml_backend_dev_t gpu = o.gpu_layers == 0 ? nullptr : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU);
    if (gpu == nullptr && o.gpu_layers != 0) gpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
    const std::string backend = gpu == nullptr ? "CPU" : ggml_backend_reg_name(ggml_backend_dev_backend_reg(gpu));
    if (o.gpu_layers != 0) other["gpu_layers"] = std::to_string(o.gpu_layers);
    if (gpu != nullptr) other["device"] = quoted(ggml_backend_dev_description(gpu));
    if (o.temperature > 0) {
        append_number(other["temperature"], o.temperature);
        append_number(other["top_p"], o.top_p);
        other["top_k"] = std::to_string(o.top_k);
        other["seed"]  = std::to_string(o.seed);
    }
    std::string & types = other["weight_types"];
    for (const auto & [type, count] : weights.tensors) types += (types.empty() ? "{" : ",") + quoted(type) + ":" + std::to_string(count);
    types += types.empty() ? "{}" : "}";

    std::string line = "{\"paritty\":1,\"team\":" + quoted(o.team) + ",\"backend\":" + quoted(backend) +
        ",\"model\":{\"name\":" + quoted(name.empty() ? stem : name) + ",\"arch\":" + quoted(metadata(model, "general.architecture")) +
        ",\"n_layer\":" + std::to_string(llama_model_n_layer(model)) + ",\"n_embd\":" + std::to_string(llama_model_n_embd(model)) +
        ",\"n_vocab\":" + std::to_string(llama_vocab_n_tokens(llama_model_get_vocab(model))) + ",\"size\":" + std::to_string(file.st_size);
    if (!weights.main_type().empty()) line += ",\"weights\":" + quoted(weights.main_type());
    line += "},\"settings\":{\"build\":" + quoted(build) + ",\"threads\":" + std::to_string(o.threads) + ",\"flash_attn\":" +
            (o.flash_attn ? "true" : "false") + ",\"kv\":" + quoted(o.kv) +
            ",\"n_ctx\":" + std::to_string(n_ctx) + ",\"arithmetic\":\"llama.cpp\"";
    for (const auto & [key, value] : other) line += "," + quoted(key) + ":" + value;
    line += "}";
    if (o.prompt) line += ",\"prompt\":" + quoted(*o.prompt);
    line += ",\"n_prompt\":" + std::to_string(n_prompt) + ",\"n_total\":" + std::to_string(n_prompt + o.n);
    if (!sidecar.empty()) line += ",\"sidecar\":" + quoted(sidecar);
    return line + "}";
}

template <typename T, void (*release)(T *)> struct Release {
    void operator()(T * value) const { release(value); }
};
using Model   = std::unique_ptr<llama_model, Release<llama_model, llama_model_free>>;
using Context = std::unique_ptr<llama_context, Release<llama_context, llama_free>>;
using Sampler = std::unique_ptr<llama_sampler, Release<llama_sampler, llama_sampler_free>>;

Sampler make_sampler(const Options & o) {
    Sampler chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    if (o.temperature > 0) {
        if (o.top_k > 0) llama_sampler_chain_add(chain.get(), llama_sampler_init_top_k(o.top_k));
        if (o.top_p < 1) llama_sampler_chain_add(chain.get(), llama_sampler_init_top_p(o.top_p, 1));
        llama_sampler_chain_add(chain.get(), llama_sampler_init_temp(o.temperature));
        llama_sampler_chain_add(chain.get(), llama_sampler_init_dist(o.seed));
    } else {
        llama_sampler_chain_add(chain.get(), llama_sampler_init_greedy());
    }
    return chain;
}

// ---------------------------------------------------------------------------------------------------
// The run

void run(const Options & o) {
    llama_log.verbose = o.verbose;
    llama_log_set(on_log, nullptr);
    llama_backend_init();
    const Capture   capture(o.checkpoints);
    const ggml_type kv = kv_type(o.kv);

    ggml_backend_dev_t no_devices[] = { nullptr };
    llama_model_params model_params = llama_model_default_params();
    model_params.n_gpu_layers       = o.gpu_layers;
    model_params.use_extra_bufts    = o.repack;
    if (o.gpu_layers == 0) model_params.devices = no_devices;
    const Model model(llama_model_load_from_file(o.model.c_str(), model_params));
    if (!model) throw Failure(o.model + ": llama.cpp cannot load this model: " + reason());

    const llama_vocab * vocab  = llama_model_get_vocab(model.get());
    const auto          prompt = o.tokens ? *o.tokens : tokenize(vocab, *o.prompt, !o.no_bos);
    if (prompt.empty()) throw Failure("the prompt has no tokens: there is nothing to compute");
    for (const llama_token token : prompt) {
        if (token >= llama_vocab_n_tokens(vocab)) throw Failure("token " + std::to_string(token) + " is not in the vocabulary");
    }
    Resolver resolver;
    Weights  weights;
    weights.read(o.model, resolver);
    // A learned table of positions has an end, which llama.cpp does not check.
    if (weights.learned_positions && (int64_t) prompt.size() + o.n > llama_model_n_ctx_train(model.get())) {
        throw Failure("the model knows only " + std::to_string(llama_model_n_ctx_train(model.get())) + " positions");
    }

    Tap tap;
    const int columns = o.batch_prefill ? o.ubatch : 1;
    llama_context_params params = llama_context_default_params();
    params.n_ctx           = std::max((uint32_t) prompt.size() + o.n, o.ctx);
    params.n_batch         = columns;
    params.n_ubatch        = columns;
    params.n_threads       = o.threads;
    params.n_threads_batch = o.threads;
    params.flash_attn_type = o.flash_attn ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.type_k          = kv;
    params.type_v          = kv;
    params.swa_full        = true;  // so that a score's column is its position
    if (!capture.off()) {
        params.cb_eval           = Tap::callback;
        params.cb_eval_user_data = &tap;
    }
    params.abort_callback = [](void *) { return stop_signal != 0; };
    const Context context(llama_init_from_model(model.get(), params));
    if (!context) throw Failure("llama.cpp refuses these settings: " + reason());
    const Sampler sampler = make_sampler(o);

    Writer writer(o.output, o.team, o.values);
    writer.header(header(o, model.get(), llama_n_ctx(context.get()), weights, prompt.size(), writer.sidecar_name));
    tap.resolver = &resolver;
    tap.capture  = &capture;
    tap.writer   = &writer;

    int  position = 0;
    const auto feed = [&](std::vector<llama_token> tokens, bool from_prompt) {
        const int count = (int) tokens.size();
        std::vector<llama_pos> positions(count);
        std::vector<int8_t>    wanted(count, 1);  // else the last layer drops rows
        for (int i = 0; i < count; i++) {
            positions[i] = position + i;
            writer.token(position + i, tokens[i], piece(vocab, tokens[i]), from_prompt, count);
        }
        llama_batch batch{};
        batch.n_tokens = count;
        batch.token    = tokens.data();
        batch.pos      = positions.data();
        batch.logits   = wanted.data();
        tap.position   = position;
        tap.columns    = count;
        const int code = llama_decode(context.get(), batch);
        if (!tap.failure.empty()) throw Failure(tap.failure);
        if (stop_signal != 0) throw Failure("interrupted");
        if (code != 0) throw Failure("llama.cpp failed at position " + std::to_string(position) + ": " + reason());
        for (int i = 0; i < count; i++) writer.complete(position + i);
        position += count;
    };

    const auto start = std::chrono::steady_clock::now();
    for (size_t from = 0; from < prompt.size(); from += columns) {
        const size_t to = std::min(prompt.size(), from + columns);
        feed({ prompt.begin() + from, prompt.begin() + to }, true);
    }
    for (int i = 0; i < o.n; i++) {
        const llama_token token = llama_sampler_sample(sampler.get(), context.get(), -1);
        if (llama_vocab_is_eog(vocab, token) && !o.ignore_eos) break;
        feed({ token }, false);
    }
    writer.end();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "recorded %zu of the prompt's tokens and %zu generated in %.1f s, %.1f tokens/s\n", prompt.size(),
                 position - prompt.size(), seconds, position / std::max(seconds, 1e-9));
}

}  // namespace

int main(int argc, char ** argv) {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    int code = 0;
    try {
        run(parse(argc, argv));
    } catch (const std::exception & error) {
        if (stop_signal == 0) std::fprintf(stderr, "paritty-trace: %s\n", error.what());
        code = 2;
    }
    if (stop_signal != 0) std::raise(stop_signal);  // what was recorded is on disk by now
    return code;
}
