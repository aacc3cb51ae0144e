/* An engine of four threads that records with paritty_trace.h and then ends in the way it is told.
 * C99, and C++11 when compiled as that. */
#define PARITTY_TRACE_IMPLEMENTATION
#include "paritty_trace.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

static void fill(void * to, size_t size, uint32_t position, uint32_t tag, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        const uint32_t bits = host_bits(position, tag, (uint32_t) i);
        const uint16_t half = (uint16_t) (bits >> 16);
        if (size == 4) {
            memcpy((char *) to + 4 * i, &bits, 4);
        } else {
            memcpy((char *) to + 2 * i, &half, 2);
        }
    }
}

static void record_layer(uint32_t position, int layer) {
    const uint32_t tag = 10u * (uint32_t) (layer + 1);
    float          wide[64];
    uint16_t       narrow[32];
    fill(narrow, 2, position, tag + 1, 32);
    paritty_trace_tensor(position, "Qcur", layer, PARITTY_TRACE_F16, narrow, 8, 4);
    fill(narrow, 2, position, tag + 2, 16);
    paritty_trace_tensor(position, "Kcur", layer, PARITTY_TRACE_BF16, narrow, 8, 2);
    fill(wide, 4, position, tag + 3, 64);
    paritty_trace_tensor(position, "l_out", layer, PARITTY_TRACE_F32, wide, 64, 1);
    memset(wide, 0x55, sizeof wide); /* the engine goes on; the record must not change */
}

static void * work(void * argument) {
    const int layer = *(const int *) argument;
    uint32_t  position;
    for (position = 0; position < POSITIONS; position++) record_layer(position, layer);
    return NULL;
}

static void run(void) {
    pthread_t threads[LAYERS];
    int       layers[LAYERS];
    uint32_t  position;
    int       i;
    float *   batch = (float *) malloc(sizeof(float) * VOCABULARY * 4);
    if (batch == NULL) exit(3);
    for (position = 0; position < POSITIONS; position++) {
        paritty_trace_token(position, 7 * position, HOST_PIECE, HOST_PIECE_LENGTH,
                            position < 5 ? PARITTY_TRACE_PROMPT : PARITTY_TRACE_SAMPLE, 4);
    }
    for (i = 0; i < LAYERS; i++) {
        layers[i] = i;
        if (pthread_create(&threads[i], NULL, work, &layers[i]) != 0) exit(3);
    }
    for (i = 0; i < LAYERS; i++) pthread_join(threads[i], NULL);
    for (position = 0; position < POSITIONS; position += 4) { /* batches of four rows */
        for (i = 0; i < 4; i++) fill(batch + i * VOCABULARY, 4, position + (uint32_t) i, 1, VOCABULARY);
        paritty_trace_rows(position, 4, sizeof(float) * VOCABULARY, "result_output", PARITTY_TRACE_NO_LAYER, PARITTY_TRACE_F32,
                           batch, VOCABULARY, 1);
        for (i = 0; i < 4; i++) paritty_trace_complete(position + (uint32_t) i);
    }
    free(batch);
}

static void last_words(void) {
    float values[16];
    fill(values, 4, 0, 2, 16);
    paritty_trace_tensor(0, "result_norm", PARITTY_TRACE_NO_LAYER, PARITTY_TRACE_F32, values, 16, 1);
    paritty_trace_end();
}

int main(int argc, char ** argv) {
    static const char * const settings[] = { "kv", "f16", "threads", "4", "flash_attn", "false", "own", "a\"b", NULL };
    const char *              mode = argc > 1 ? argv[1] : "return";
    paritty_trace_info        info;
    memset(&info, 0, sizeof info);
    info.backend  = "CPU";
    info.model    = "tiny \xff";
    info.arch     = "llama";
    info.weights  = "Q8_0";
    info.n_layer  = LAYERS;
    info.n_embd   = 64;
    info.n_vocab  = VOCABULARY;
    info.n_prompt = 5;
    info.prompt   = "What \"light\"\n";
    info.settings = settings;
    if (strcmp(mode, "atexit") == 0) atexit(last_words); /* before anything of the logger's */
    paritty_trace_open("host", &info);

    if (strcmp(mode, "fork") == 0) {
        pid_t child;
        record_layer(0, 0);
        child = fork();
        if (child < 0) return 3;
        record_layer(child == 0 ? 1 : 2, 1);
        record_layer(child == 0 ? 3 : 4, 2);
        paritty_trace_end();
        if (child == 0) _exit(0);
        return waitpid(child, NULL, 0) == child ? 0 : 3;
    }
    run();
    if (strcmp(mode, "rewind") == 0) {
        paritty_trace_rewind(20);
        record_layer(20, 0);
    }
    if (strcmp(mode, "abort") == 0) abort();
    if (strcmp(mode, "_exit") == 0) _exit(0);
    if (strcmp(mode, "exit") == 0) exit(0);
    if (strcmp(mode, "atexit") != 0) paritty_trace_end();
    return 0;
}
