/* paritty_trace.h: records what your engine computes, as a trace that paritty reads.
 *
 * One file for C99 and later and for C++11 and later, on Linux, macOS and the BSDs (little-endian).
 * In ONE of your source files, before any other #include:
 *
 *     #define PARITTY_TRACE_IMPLEMENTATION
 *     #include "paritty_trace.h"
 *
 * Everywhere else only the #include. Then:
 *
 *     paritty_trace_open("my engine", NULL);                            at start; reads ORCH_LOG_FILE
 *     paritty_trace_token(position, id, text, strlen(text), PARITTY_TRACE_PROMPT, 1);
 *     paritty_trace_tensor(position, "Qcur", layer, PARITTY_TRACE_F32, q, head_dim, n_head);
 *     paritty_trace_complete(position);
 *     paritty_trace_end();
 *
 * Nothing is recorded unless the environment variable ORCH_LOG_FILE names the trace to write
 * (RUN.jsonl; the values go beside it, to RUN.bin). ORCH_LOG_TEAM renames the engine.
 * ORCH_LOG_VALUES=N writes the first N values of each record as text instead.
 *
 * What it promises:
 *  - A record is with the operating system when the call returns: nothing is kept for later, so exit(),
 *    abort(), a crash or a destructor in the wrong order lose nothing and print no freed memory.
 *    There is no object to construct or destroy.
 *  - The bits stay as they are: f32, f16 and bf16 are written raw, in text with nine digits.
 *  - Any thread may call; records never mix. Open before the threads start.
 *  - After fork() the child records into a trace of its own, RUN-PID.jsonl.
 *  - Trouble (a full disk, no such folder) is told once on stderr; recording then stops, your engine
 *    goes on.
 *  - Switched off, each call is one branch.
 *
 * Values have to be in the host's memory, finished: copy from the device and wait first.
 * Names of checkpoints are llama.cpp's; paritty's README and assets/loggers/README.md list them.
 * Older C libraries need -pthread. MIT or Apache-2.0, at your choice.
 */
#ifndef PARITTY_TRACE_H
#define PARITTY_TRACE_H

/* Before the first system header: with -std=c99 the POSIX functions are hidden otherwise. */
#if defined(PARITTY_TRACE_IMPLEMENTATION) && !defined(_POSIX_C_SOURCE) && !defined(_XOPEN_SOURCE) && \
    !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE) && !defined(__APPLE__) && !defined(__FreeBSD__)
#define _POSIX_C_SOURCE 200809L
#endif
#if defined(PARITTY_TRACE_IMPLEMENTATION) && !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Type of the values; f16 and bf16 are 16 bits each. */
enum { PARITTY_TRACE_F32 = 0, PARITTY_TRACE_F16 = 1, PARITTY_TRACE_BF16 = 2 };

/* Where a token comes from. */
enum { PARITTY_TRACE_SAMPLE = 0, PARITTY_TRACE_PROMPT = 1 };

/* For checkpoints outside layers: embd, result_norm, result_output. */
enum { PARITTY_TRACE_NO_LAYER = -1 };

/* What the first line says. Everything may stay 0. */
typedef struct paritty_trace_info {
    const char * backend;    /* "CPU", "CUDA" ... */
    const char * model;      /* its name */
    const char * arch;       /* "llama", "qwen2" ... */
    const char * weights;    /* type of most matrices: "F32", "BF16", "Q8_0", "Q4_K" ...; decides which differences count */
    uint32_t     n_layer;
    uint32_t     n_embd;
    uint32_t     n_vocab;
    uint32_t     n_prompt;   /* tokens of the prompt */
    const char * prompt;     /* its text */
    /* What changes numbers, as names and values with a NULL after the last: {"kv", "f16", "threads", "8", NULL}.
     * Whole numbers, true and false are written as such, the rest as text. */
    const char * const * settings;
} paritty_trace_info;

/* Whether a trace is being written; ask PARITTY_TRACE_IS_ON() before work that only serves the trace. */
extern int paritty_trace_on;
#define PARITTY_TRACE_IS_ON() (__atomic_load_n(&paritty_trace_on, __ATOMIC_RELAXED) != 0)

/* Begins the trace that ORCH_LOG_FILE names, replacing what is there; without the variable nothing happens.
 * `info` may be NULL. Returns whether a trace is being written. */
int paritty_trace_open(const char * team, const paritty_trace_info * info);
/* The same with a file name of yours. */
int paritty_trace_open_file(const char * path, const char * team, const paritty_trace_info * info);

void paritty_trace_token_(uint32_t position, uint32_t id, const char * text, size_t length, int from, uint32_t columns);
void paritty_trace_rows_(uint32_t first, size_t rows, size_t stride, const char * site, int layer, int dtype,
                         const void * data, size_t ne0, size_t ne1);
void paritty_trace_complete_(uint32_t position);
void paritty_trace_rewind_(uint32_t position);
void paritty_trace_end_(void);

/* The token that opens a position. `text` is what it stands for (any bytes; may be NULL); `columns` how many
 * tokens the batch has that computes it, which changes arithmetic (0: unknown). */
static inline void paritty_trace_token(uint32_t position, uint32_t id, const char * text, size_t length, int from,
                                       uint32_t columns) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_token_(position, id, text, length, from, columns);
}

/* One tensor of one position: ne0 values next to each other, ne1 such rows (1 for a plain row), contiguous. */
static inline void paritty_trace_tensor(uint32_t position, const char * site, int layer, int dtype, const void * data,
                                        size_t ne0, size_t ne1) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_rows_(position, 1, 0, site, layer, dtype, data, ne0, ne1);
}

/* The same for `rows` positions from `first` on, as a batch computes them; `stride` is the distance in bytes
 * from one position's values to the next one's. */
static inline void paritty_trace_rows(uint32_t first, size_t rows, size_t stride, const char * site, int layer,
                                      int dtype, const void * data, size_t ne0, size_t ne1) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_rows_(first, rows, stride, site, layer, dtype, data, ne0, ne1);
}

/* Everything of this position has been recorded. */
static inline void paritty_trace_complete(uint32_t position) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_complete_(position);
}

/* Everything from this position on is void and will be computed again. */
static inline void paritty_trace_rewind(uint32_t position) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_rewind_(position);
}

/* The last line. Not needed for the trace to be readable; without it paritty waits for more. */
static inline void paritty_trace_end(void) {
    if (PARITTY_TRACE_IS_ON()) paritty_trace_end_();
}

#ifdef __cplusplus
}
#endif
#endif /* PARITTY_TRACE_H */

/* -------------------------------------------------------------------------------------------------- */
#if defined(PARITTY_TRACE_IMPLEMENTATION) && !defined(PARITTY_TRACE_IMPLEMENTED)
#define PARITTY_TRACE_IMPLEMENTED

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "paritty_trace.h writes values as they lie in memory; a trace needs them little-endian"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bounds of paritty's reader. */
#define PARITTY_TRACE_MAX_POSITION ((uint32_t) 1 << 24)
#define PARITTY_TRACE_MAX_VALUES   ((size_t) 1 << 28)

int paritty_trace_on = 0;

/* A line under construction. */
typedef struct {
    char * text;
    size_t length, room;
    int    failed; /* no memory */
} paritty_trace_line_;

/* Plain data, zero at start: nothing of it is ever constructed or destroyed. */
static struct {
    pthread_mutex_t     lock;
    int                 watches_fork, forked;
    int                 text, sidecar; /* file descriptors; no sidecar: -1 */
    int                 may_signal;    /* a write may raise SIGPIPE or SIGXFSZ */
    int                 complained;
    size_t              values;        /* most values of a record, as text; with a sidecar unused */
    uint64_t            text_length, sidecar_length;
    uint32_t *          records;       /* by position; one more than its records, 0: not begun */
    size_t              room;          /* positions that fit there */
    char *              path;          /* as given */
    char *              team;          /* as JSON */
    char *              header;        /* what follows the team in the first line, up to the sidecar */
    paritty_trace_line_ line;
} paritty_trace_state_ = { PTHREAD_MUTEX_INITIALIZER, 0, 0, -1, -1, 0, 0, 0, 0, 0, NULL, 0, NULL, NULL, NULL, { NULL, 0, 0, 0 } };

/* ---- text ---- */

static void paritty_trace_bytes_(paritty_trace_line_ * line, const char * text, size_t length) {
    if (line->failed) return;
    if (length >= line->room - line->length) {
        const size_t room  = (line->length + length + 256) * 2;
        char *       moved = room > length ? (char *) realloc(line->text, room) : NULL;
        if (moved == NULL) {
            line->failed = 1;
            return;
        }
        line->text = moved;
        line->room = room;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
    line->text[line->length] = '\0';
}

static void paritty_trace_put_(paritty_trace_line_ * line, const char * text) {
    paritty_trace_bytes_(line, text, strlen(text));
}

static void paritty_trace_whole_(paritty_trace_line_ * line, uint64_t number) {
    char   digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char) ('0' + (int) (number % 10));
        number /= 10;
    } while (number > 0);
    paritty_trace_bytes_(line, digits + at, sizeof digits - at);
}

/* Length of the UTF-8 character at the start of `text`; 0 minus the length of its valid beginning if it is broken. */
static int paritty_trace_utf8_(const unsigned char * text, size_t left) {
    const unsigned lead = text[0];
    unsigned       low = 0x80, high = 0xBF;
    int            length, good = 1;
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return -1;
    length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF4) high = 0x8F;
    while (good < length) {
        if ((size_t) good >= left || text[good] < low || text[good] > high) return -good;
        low  = 0x80;
        high = 0xBF;
        good++;
    }
    return length;
}

/* A JSON string of any bytes; those that are no UTF-8 become U+FFFD. */
static void paritty_trace_string_(paritty_trace_line_ * line, const char * bytes, size_t length) {
    static const char hex[] = "0123456789abcdef";
    size_t            at    = 0;
    paritty_trace_put_(line, "\"");
    while (at < length) {
        const unsigned char * here = (const unsigned char *) bytes + at;
        const int             size = paritty_trace_utf8_(here, length - at);
        if (size < 0) {
            paritty_trace_put_(line, "\xEF\xBF\xBD");
            at += (size_t) -size;
        } else {
            if (*here == '"' || *here == '\\') {
                paritty_trace_put_(line, *here == '"' ? "\\\"" : "\\\\");
            } else if (*here < 0x20 || *here == 0x7F) {
                char code[7] = { '\\', 'u', '0', '0', 0, 0, 0 };
                code[4]      = hex[*here >> 4];
                code[5]      = hex[*here & 15];
                paritty_trace_put_(line, code);
            } else {
                paritty_trace_bytes_(line, (const char *) here, (size_t) size);
            }
            at += (size_t) size;
        }
    }
    paritty_trace_put_(line, "\"");
}

static void paritty_trace_text_field_(paritty_trace_line_ * line, const char * name, const char * value) {
    if (value == NULL) return;
    paritty_trace_put_(line, name);
    paritty_trace_string_(line, value, strlen(value));
}

static void paritty_trace_number_field_(paritty_trace_line_ * line, const char * name, uint64_t value) {
    paritty_trace_put_(line, name);
    paritty_trace_whole_(line, value);
}

/* Nine digits give every f32 back; the decimal point of the program's locale becomes a point. */
static void paritty_trace_float_(paritty_trace_line_ * line, float value) {
    char   printed[64], out[64];
    size_t from, to = 0;
    int    point = 0;
    if (value != value) {
        paritty_trace_put_(line, "\"NaN\"");
        return;
    }
    if (value - value != 0.0f) {
        paritty_trace_put_(line, value > 0.0f ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    snprintf(printed, sizeof printed, "%.9g", (double) value);
    for (from = 0; printed[from] != '\0' && to + 1 < sizeof out; from++) {
        const char c = printed[from];
        if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e') {
            out[to++] = c;
        } else if (!point) {
            out[to++] = '.';
            point     = 1;
        }
    }
    paritty_trace_bytes_(line, out, to);
}

static float paritty_trace_value_(const void * data, size_t index, int dtype) {
    uint32_t bits;
    uint16_t half;
    float    value;
    if (dtype == PARITTY_TRACE_F32) {
        memcpy(&value, (const char *) data + 4 * index, sizeof value);
        return value;
    }
    memcpy(&half, (const char *) data + 2 * index, sizeof half);
    if (dtype == PARITTY_TRACE_BF16) {
        bits = (uint32_t) half << 16;
    } else {
        const uint32_t sign = (uint32_t) (half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 1023u;
        if (exponent == 0) { /* zero or denormal: fraction times 2^-24, exactly */
            value = (float) fraction * (1.0f / 16777216.0f);
            return sign != 0 ? -value : value;
        }
        bits = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112u) << 23) | fraction << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- files; every function below wants the lock ---- */

static void paritty_trace_close_(void) {
    __atomic_store_n(&paritty_trace_on, 0, __ATOMIC_RELAXED);
    if (paritty_trace_state_.text >= 0) close(paritty_trace_state_.text);
    if (paritty_trace_state_.sidecar >= 0) close(paritty_trace_state_.sidecar);
    paritty_trace_state_.text = paritty_trace_state_.sidecar = -1;
}

/* Once; then recording stops. */
static void paritty_trace_fail_(const char * what, const char * why) {
    if (!paritty_trace_state_.complained) {
        fprintf(stderr, "paritty_trace: %s: %s; nothing more is recorded, the program goes on\n", what, why);
        paritty_trace_state_.complained = 1;
    }
    paritty_trace_close_();
}

/* Once; recording goes on. */
static void paritty_trace_warn_(const char * what) {
    if (!paritty_trace_state_.complained) {
        fprintf(stderr, "paritty_trace: %s\n", what);
        paritty_trace_state_.complained = 1;
    }
}

/* Writes everything or returns an errno. Signals that a write may raise do not reach the program. */
static int paritty_trace_write_(int file, const char * bytes, size_t length) {
    sigset_t raised, before, pending;
    int      error = 0, signal_number;
    if (paritty_trace_state_.may_signal) {
        sigemptyset(&raised);
        sigaddset(&raised, SIGPIPE);
        sigaddset(&raised, SIGXFSZ);
        pthread_sigmask(SIG_BLOCK, &raised, &before);
    }
    while (length > 0) {
        const ssize_t written = write(file, bytes, length > ((size_t) 1 << 30) ? (size_t) 1 << 30 : length);
        if (written > 0) {
            bytes += written;
            length -= (size_t) written;
        } else if (written == 0 || errno != EINTR) {
            error = written == 0 ? EIO : errno;
            break;
        }
    }
    if (paritty_trace_state_.may_signal) {
        if (error == EPIPE || error == EFBIG) { /* take the signal before it is let through */
            sigemptyset(&pending);
            sigpending(&pending);
            if (sigismember(&pending, SIGPIPE) == 1 || sigismember(&pending, SIGXFSZ) == 1) sigwait(&raised, &signal_number);
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return error;
}

/* Hands the line over; a half-written one is taken back. */
static void paritty_trace_send_(void) {
    paritty_trace_line_ * line = &paritty_trace_state_.line;
    int                   error;
    paritty_trace_put_(line, "}\n");
    error = line->failed ? ENOMEM : paritty_trace_write_(paritty_trace_state_.text, line->text, line->length);
    if (error != 0) {
        if (ftruncate(paritty_trace_state_.text, (off_t) paritty_trace_state_.text_length) != 0) { /* a pipe, say: so be it */ }
        paritty_trace_fail_(paritty_trace_state_.path, strerror(error));
        return;
    }
    paritty_trace_state_.text_length += line->length;
}

static paritty_trace_line_ * paritty_trace_begin_(const char * text) {
    paritty_trace_line_ * line = &paritty_trace_state_.line;
    line->length               = 0;
    line->failed               = 0;
    paritty_trace_put_(line, text);
    return line;
}

/* An empty file; one that is there is unlinked, so that whoever reads it keeps it. */
static int paritty_trace_create_(const char * path) {
    struct stat found;
    int         file;
    if (lstat(path, &found) == 0 && S_ISREG(found.st_mode)) unlink(path);
    do {
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    } while (file < 0 && errno == EINTR);
    return file;
}

/* `path`, or in a forked child the same with the process's number before the ending; then the sidecar's. */
static char * paritty_trace_name_(const char * path, long process, int sidecar) {
    const char * slash  = strrchr(path, '/');
    const char * dot    = strrchr(path, '.');
    const char * name   = slash != NULL ? slash + 1 : path;
    const size_t stem   = dot != NULL && dot > name ? (size_t) (dot - path) : strlen(path);
    const size_t room   = strlen(path) + 64;
    char *       result = (char *) malloc(room);
    char         number[32] = "";
    if (result == NULL) return NULL;
    if (process != 0) snprintf(number, sizeof number, "-%ld", process);
    snprintf(result, room, "%.*s%s%s", (int) stem, path, number, sidecar ? ".bin" : path + stem);
    return result;
}

/* Opens both files and writes the first line. */
static void paritty_trace_start_(long process) {
    char *                text    = paritty_trace_name_(paritty_trace_state_.path, process, 0);
    char *                sidecar = paritty_trace_name_(paritty_trace_state_.path, process, 1);
    paritty_trace_line_ * line;
    struct stat           found;
    struct rlimit         limit;
    if (text == NULL || sidecar == NULL) {
        paritty_trace_fail_(paritty_trace_state_.path, strerror(ENOMEM));
        goto done;
    }
    if (paritty_trace_state_.values == 0) {
        if (strcmp(text, sidecar) == 0) {
            paritty_trace_fail_(text, "a trace needs a name that does not end in .bin, such as run.jsonl");
            goto done;
        }
        if (lstat(text, &found) == 0 ? !S_ISREG(found.st_mode) : 0) {
            paritty_trace_state_.values = SIZE_MAX; /* a pipe or device has no neighbour: everything as text */
        } else if (lstat(text, &found) != 0 && lstat(sidecar, &found) == 0) {
            paritty_trace_fail_(sidecar, "would become the trace's sidecar but belongs to no trace; rename or remove it");
            goto done;
        } else {
            unlink(text); /* so that no reader ever sees a text beside a sidecar that is not its own */
            paritty_trace_state_.sidecar = paritty_trace_create_(sidecar);
            if (paritty_trace_state_.sidecar < 0) {
                paritty_trace_fail_(sidecar, strerror(errno));
                goto done;
            }
        }
    }
    paritty_trace_state_.text = paritty_trace_create_(text);
    if (paritty_trace_state_.text < 0) {
        paritty_trace_fail_(text, strerror(errno));
        goto done;
    }
    paritty_trace_state_.may_signal = fstat(paritty_trace_state_.text, &found) != 0 || !S_ISREG(found.st_mode) ||
                                      getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
    paritty_trace_state_.text_length = paritty_trace_state_.sidecar_length = 0;
    if (paritty_trace_state_.room > 0) memset(paritty_trace_state_.records, 0, paritty_trace_state_.room * sizeof(uint32_t));
    line = paritty_trace_begin_("{\"paritty\":1,\"team\":");
    paritty_trace_put_(line, paritty_trace_state_.team);
    paritty_trace_put_(line, paritty_trace_state_.header);
    if (paritty_trace_state_.sidecar >= 0) {
        const char * slash = strrchr(sidecar, '/');
        paritty_trace_text_field_(line, ",\"sidecar\":", slash != NULL ? slash + 1 : sidecar);
    }
    __atomic_store_n(&paritty_trace_on, 1, __ATOMIC_RELAXED);
    paritty_trace_send_();
done:
    free(text);
    free(sidecar);
}

/* ---- fork ---- */

static void paritty_trace_before_fork_(void) { pthread_mutex_lock(&paritty_trace_state_.lock); }

static void paritty_trace_in_parent_(void) { pthread_mutex_unlock(&paritty_trace_state_.lock); }

/* The parent's files stay the parent's; the child begins its own with its first record. */
static void paritty_trace_in_child_(void) {
    paritty_trace_state_.forked = paritty_trace_on;
    pthread_mutex_unlock(&paritty_trace_state_.lock);
}

/* Takes the lock; false (and no lock) where nothing is to be written any more. */
static int paritty_trace_enter_(void) {
    pthread_mutex_lock(&paritty_trace_state_.lock);
    if (paritty_trace_state_.forked && paritty_trace_on) {
        paritty_trace_state_.forked = 0;
        paritty_trace_close_();
        paritty_trace_start_((long) getpid());
    }
    if (paritty_trace_on) return 1;
    pthread_mutex_unlock(&paritty_trace_state_.lock);
    return 0;
}

static void paritty_trace_leave_(void) { pthread_mutex_unlock(&paritty_trace_state_.lock); }

/* ---- what the engine calls ---- */

static int paritty_trace_is_bare_(const char * text) {
    size_t i = text[0] == '-';
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return 1;
    if (text[i] == '\0' || strlen(text) > 15 || (text[i] == '0' && text[i + 1] != '\0')) return 0;
    for (; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
    }
    return 1;
}

/* What the first line says after the team. */
static char * paritty_trace_describe_(const paritty_trace_info * info) {
    static const paritty_trace_info nothing = { NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL };
    paritty_trace_line_             line    = { NULL, 0, 0, 0 };
    size_t                          i;
    if (info == NULL) info = &nothing;
    paritty_trace_put_(&line, "");
    paritty_trace_text_field_(&line, ",\"backend\":", info->backend);
    paritty_trace_text_field_(&line, ",\"model\":{\"name\":", info->model != NULL ? info->model : "");
    paritty_trace_text_field_(&line, ",\"arch\":", info->arch != NULL ? info->arch : "");
    paritty_trace_text_field_(&line, ",\"weights\":", info->weights);
    paritty_trace_number_field_(&line, ",\"n_layer\":", info->n_layer);
    paritty_trace_number_field_(&line, ",\"n_embd\":", info->n_embd);
    paritty_trace_number_field_(&line, ",\"n_vocab\":", info->n_vocab);
    paritty_trace_put_(&line, "},\"settings\":{\"logger\":\"paritty_trace.h\"");
    for (i = 0; info->settings != NULL && info->settings[i] != NULL && info->settings[i + 1] != NULL; i += 2) {
        const char * value = info->settings[i + 1];
        paritty_trace_text_field_(&line, ",", info->settings[i]);
        if (paritty_trace_is_bare_(value)) {
            paritty_trace_put_(&line, ":");
            paritty_trace_put_(&line, value);
        } else {
            paritty_trace_text_field_(&line, ":", value);
        }
    }
    paritty_trace_put_(&line, "}");
    paritty_trace_text_field_(&line, ",\"prompt\":", info->prompt);
    if (info->n_prompt > 0) paritty_trace_number_field_(&line, ",\"n_prompt\":", info->n_prompt);
    if (!line.failed) return line.text;
    free(line.text);
    return NULL;
}

int paritty_trace_open(const char * team, const paritty_trace_info * info) {
    return paritty_trace_open_file(NULL, team, info);
}

int paritty_trace_open_file(const char * path, const char * team, const paritty_trace_info * info) {
    const char *        most = getenv("ORCH_LOG_VALUES");
    const char *        name = getenv("ORCH_LOG_TEAM");
    paritty_trace_line_ line = { NULL, 0, 0, 0 };
    size_t              i, values = 0;
    if (path == NULL) path = getenv("ORCH_LOG_FILE");
    if (path == NULL || path[0] == '\0') return PARITTY_TRACE_IS_ON();
    if (name != NULL && name[0] != '\0') team = name;

    pthread_mutex_lock(&paritty_trace_state_.lock);
    if (paritty_trace_on) { /* a second call changes nothing */
        pthread_mutex_unlock(&paritty_trace_state_.lock);
        return 1;
    }
    if (most != NULL && most[0] != '\0') {
        for (i = 0; most[i] >= '0' && most[i] <= '9' && i < 9; i++) values = values * 10 + (size_t) (most[i] - '0');
        if (most[i] != '\0' || values == 0) {
            paritty_trace_warn_("ORCH_LOG_VALUES: a whole number from 1 to 999999999 was expected; all values are recorded");
            values = 0;
        }
    }
    paritty_trace_string_(&line, team != NULL ? team : "", team != NULL ? strlen(team) : 0);
    free(paritty_trace_state_.path);
    free(paritty_trace_state_.team);
    free(paritty_trace_state_.header);
    paritty_trace_state_.path   = (char *) malloc(strlen(path) + 1);
    paritty_trace_state_.team   = line.text;
    paritty_trace_state_.header = paritty_trace_describe_(info);
    paritty_trace_state_.values = values;
    if (paritty_trace_state_.path == NULL || line.failed || paritty_trace_state_.header == NULL) {
        paritty_trace_fail_(path, strerror(ENOMEM));
    } else {
        memcpy(paritty_trace_state_.path, path, strlen(path) + 1);
        if (!paritty_trace_state_.watches_fork) {
            paritty_trace_state_.watches_fork = 1;
            pthread_atfork(paritty_trace_before_fork_, paritty_trace_in_parent_, paritty_trace_in_child_);
        }
        paritty_trace_state_.forked = 0;
        paritty_trace_start_(0);
    }
    pthread_mutex_unlock(&paritty_trace_state_.lock);
    return PARITTY_TRACE_IS_ON();
}

/* Begins a position and counts `records` of it; false where paritty would not read it. */
static int paritty_trace_count_(uint32_t position, uint32_t records) {
    if (position > PARITTY_TRACE_MAX_POSITION) {
        paritty_trace_warn_("a position beyond 16777216 was not recorded");
        return 0;
    }
    if (position >= paritty_trace_state_.room) {
        const size_t room  = ((size_t) position + 256) * 2;
        uint32_t *   moved = (uint32_t *) realloc(paritty_trace_state_.records, room * sizeof(uint32_t));
        if (moved == NULL) return 1; /* only the counts in the last line suffer */
        memset(moved + paritty_trace_state_.room, 0, (room - paritty_trace_state_.room) * sizeof(uint32_t));
        paritty_trace_state_.records = moved;
        paritty_trace_state_.room    = room;
    }
    if (paritty_trace_state_.records[position] == 0) paritty_trace_state_.records[position] = 1;
    paritty_trace_state_.records[position] += records;
    return 1;
}

void paritty_trace_token_(uint32_t position, uint32_t id, const char * text, size_t length, int from, uint32_t columns) {
    paritty_trace_line_ * line;
    if (!paritty_trace_enter_()) return;
    if (paritty_trace_count_(position, 0)) {
        line = paritty_trace_begin_("{");
        paritty_trace_number_field_(line, "\"token_idx\":", position);
        paritty_trace_number_field_(line, ",\"token\":", id);
        if (text != NULL) {
            paritty_trace_put_(line, ",\"piece\":");
            paritty_trace_string_(line, text, length);
        }
        paritty_trace_put_(line, from == PARITTY_TRACE_PROMPT ? ",\"from\":\"prompt\"" : ",\"from\":\"sample\"");
        if (columns > 0) paritty_trace_number_field_(line, ",\"columns\":", columns);
        paritty_trace_send_();
    }
    paritty_trace_leave_();
}

static void paritty_trace_record_(uint32_t position, const char * site, int layer, int dtype, const void * data,
                                  size_t ne0, size_t ne1) {
    static const char * const dtypes[] = { "f32", "f16", "bf16" };
    const size_t              count = ne0 * ne1, size = dtype == PARITTY_TRACE_F32 ? 4 : 2;
    char                      name[160];
    paritty_trace_line_ *     line;
    size_t                    i;
    int                       error;
    if (layer >= 0) {
        snprintf(name, sizeof name, "%.140s-%d", site, layer);
    } else {
        snprintf(name, sizeof name, "%.140s", site);
    }
    line = paritty_trace_begin_("{\"checkpoint\":");
    paritty_trace_string_(line, name, strlen(name));
    paritty_trace_put_(line, ",\"team\":");
    paritty_trace_put_(line, paritty_trace_state_.team);
    paritty_trace_number_field_(line, ",\"token_idx\":", position);
    paritty_trace_text_field_(line, ",\"dtype\":", dtypes[dtype]);
    paritty_trace_number_field_(line, ",\"shape\":[", ne0);
    if (ne1 > 1) paritty_trace_number_field_(line, ",", ne1);
    paritty_trace_put_(line, "]");
    if (paritty_trace_state_.sidecar >= 0) {
        error = paritty_trace_write_(paritty_trace_state_.sidecar, (const char *) data, count * size);
        if (error != 0) {
            paritty_trace_fail_("the trace's sidecar", strerror(error));
            return;
        }
        paritty_trace_number_field_(line, ",\"offset\":", paritty_trace_state_.sidecar_length);
        paritty_trace_number_field_(line, ",\"bytes\":", count * size);
        paritty_trace_state_.sidecar_length += count * size;
    } else {
        paritty_trace_put_(line, ",\"values\":[");
        for (i = 0; i < count && i < paritty_trace_state_.values; i++) {
            if (i > 0) paritty_trace_put_(line, ",");
            paritty_trace_float_(line, paritty_trace_value_(data, i, dtype));
        }
        paritty_trace_put_(line, "]");
    }
    paritty_trace_send_();
}

void paritty_trace_rows_(uint32_t first, size_t rows, size_t stride, const char * site, int layer, int dtype,
                         const void * data, size_t ne0, size_t ne1) {
    size_t row;
    if (!paritty_trace_enter_()) return;
    if (ne1 == 0) ne1 = 1;
    if (site == NULL || data == NULL || ne0 == 0 || ne0 > PARITTY_TRACE_MAX_VALUES / ne1 || dtype < 0 || dtype > 2) {
        paritty_trace_warn_("a record without name, values or a known dtype, or of more than 268435456 values, was left out");
        rows = 0;
    }
    for (row = 0; row < rows && row <= PARITTY_TRACE_MAX_POSITION && paritty_trace_on; row++) {
        if (!paritty_trace_count_(first + (uint32_t) row, 1)) break;
        paritty_trace_record_(first + (uint32_t) row, site, layer, dtype, (const char *) data + row * stride, ne0, ne1);
    }
    paritty_trace_leave_();
}

void paritty_trace_complete_(uint32_t position) {
    paritty_trace_line_ * line;
    if (!paritty_trace_enter_()) return;
    if (paritty_trace_count_(position, 0)) {
        line = paritty_trace_begin_("{\"complete\":true");
        paritty_trace_number_field_(line, ",\"token_idx\":", position);
        paritty_trace_send_();
    }
    paritty_trace_leave_();
}

void paritty_trace_rewind_(uint32_t position) {
    if (!paritty_trace_enter_()) return;
    if (position <= PARITTY_TRACE_MAX_POSITION) {
        if (position < paritty_trace_state_.room) {
            memset(paritty_trace_state_.records + position, 0, (paritty_trace_state_.room - position) * sizeof(uint32_t));
        }
        paritty_trace_number_field_(paritty_trace_begin_("{"), "\"rewind\":", position);
        paritty_trace_send_();
    }
    paritty_trace_leave_();
}

void paritty_trace_end_(void) {
    paritty_trace_line_ * line;
    uint64_t              positions = 0, records = 0;
    size_t                i;
    if (!paritty_trace_enter_()) return;
    for (i = 0; i < paritty_trace_state_.room; i++) {
        if (paritty_trace_state_.records[i] > 0) {
            positions++;
            records += paritty_trace_state_.records[i] - 1;
        }
    }
    line = paritty_trace_begin_("{\"end\":true");
    paritty_trace_number_field_(line, ",\"positions\":", positions);
    paritty_trace_number_field_(line, ",\"records\":", records);
    paritty_trace_send_();
    paritty_trace_close_();
    paritty_trace_leave_();
}

#ifdef __cplusplus
}
#endif
#endif /* PARITTY_TRACE_IMPLEMENTATION */
