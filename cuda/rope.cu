// Rotary position embedding, and keys and values into the cache. Angles, sines and cosines in f64.
#include "history.cuh"
#include "overlap.cuh"

// Cosine and sine of each pair's angle at this position, times the attention factor.
extern "C" __global__ void rope_table(const Step* step, const double* frequencies, int pairs, int shift,
                                      double factor, double2* table) {
    let_next_start();
    wait_for_previous();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pairs) return;
    double position = (double)step->position + (double)shift;
    double sine, cosine;
    sincos(position * frequencies[i], &sine, &cosine);
    table[i] = make_double2(cosine * factor, sine * factor);
}

// How heads are turned: the first 2·pairs values of each. NEOX: values i and i + pairs belong together; otherwise
// neighbours do.
struct Turning {
    const double2* table;
    int head_dim;
    int pairs;
    int neox;
};

// One row of heads: out = x turned; scaled = out · factor, unless null.
struct Turn {
    const float* x;
    float* out;
    float* scaled;
    float factor;
    int heads;
};

// Work item `index` of a row: a pair, or a value that is copied. There are heads · (head_dim − pairs).
// `then(i, value)` gets what became of value i of the row.
template <typename Then>
__device__ inline void turn_one(const Turning& how, const Turn& row, int index, Then then) {
    int per_head = how.head_dim - how.pairs, i = index % per_head, start = index / per_head * how.head_dim;
    auto leave = [&](int at, float value) {
        row.out[start + at] = value;
        if (row.scaled) row.scaled[start + at] = value * row.factor;
        then(start + at, value);
    };
    const float* x = row.x + start;
    if (i >= how.pairs) {
        leave(how.pairs + i, x[how.pairs + i]);
        return;
    }
    int first = how.neox ? i : 2 * i, second = how.neox ? i + how.pairs : 2 * i + 1;
    double a = x[first], b = x[second], cosine = how.table[i].x, sine = how.table[i].y;
    leave(first, (float)(a * cosine - b * sine));
    leave(second, (float)(a * sine + b * cosine));
}

// One thread a work item.
extern "C" __global__ void rope(Turning how, Turn row) {
    let_next_start();
    wait_for_previous();
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < row.heads * (how.head_dim - how.pairs)) turn_one(how, row, index, [](int, float) {});
}

// Query and key turned, the key and the value into the cache. One thread a work item or value.
template <typename T>
__device__ inline void rope_and_store(const Step* step, const Turning& how, const Turn& query, const Turn& key,
                                      const Row& key_row, const Row& value_row) {
    let_next_start();
    wait_for_previous();
    int index = blockIdx.x * blockDim.x + threadIdx.x, per_head = how.head_dim - how.pairs;
    if (index < query.heads * per_head) {
        turn_one(how, query, index, [](int, float) {});
        return;
    }
    index -= query.heads * per_head;
    if (index < key.heads * per_head) {
        turn_one(how, key, index, [&](int i, float value) { put<T>(step, key_row, i, value); });
        return;
    }
    index -= key.heads * per_head;
    if (index < value_row.width) put<T>(step, value_row, index, value_row.values[index]);
}

extern "C" __global__ void rope_and_store_f32(const Step* step, Turning how, Turn query, Turn key, Row key_row,
                                              Row value_row) {
    rope_and_store<float>(step, how, query, key, key_row, value_row);
}
extern "C" __global__ void rope_and_store_f16(const Step* step, Turning how, Turn query, Turn key, Row key_row,
                                              Row value_row) {
    rope_and_store<uint16_t>(step, how, query, key, key_row, value_row);
}

// Up to two rows into the cache; a row of no width is none. One thread a value.
template <typename T>
__device__ inline void store(const Step* step, const Row& a, const Row& b) {
    let_next_start();
    wait_for_previous();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.width) {
        put<T>(step, a, i, a.values[i]);
    } else if (i - a.width < b.width) {
        put<T>(step, b, i - a.width, b.values[i - a.width]);
    }
}

extern "C" __global__ void store_f32(const Step* step, Row a, Row b) { store<float>(step, a, b); }
extern "C" __global__ void store_f16(const Step* step, Row a, Row b) { store<uint16_t>(step, a, b); }
