#!/usr/bin/env bash
# Tests, sanitises and times the CUDA engine on a machine with a GPU, and prints a short table.
#
# Usage: tests/gpu.sh FOLDER [PART…]    FOLDER: where models and logs go
#   parts, all of them by default:
#     tests      the tests of tests/cuda that need a GPU, those of two GPUs where there are two
#     traces     the recorded traces of the real llama.cpp against the GPU; batches against token by token; taps
#     limits     a model that does not fit a limit set on purpose; a run that is killed in mid-step
#     sanitise   compute-sanitizer (memcheck, racecheck, initcheck, synccheck) over every kernel and a decode
#     speed      true shapes: decode with taps off, on layers, on everything, statistics, batches, position 8,000,
#                loading, the kernels' cache; beside llama.cpp's own bench
#
# With Rust at hand nothing is to be prepared. For a machine without it, on one of the same processor:
#     cargo build --release && strip -o carried/paritty target/release/paritty
#     strip -o carried/cuda-tests "$(cargo test --release --no-run --test cuda --message-format json |
#       grep -o '"executable":"[^"]*/cuda-[^"]*"' | tail -1 | cut -d'"' -f4)"
# and there, in the repository's folder (assets/ is needed):
#     PARITTY=carried/paritty PARITTY_TESTS=carried/cuda-tests tests/gpu.sh FOLDER
#
#   PARITTY, PARITTY_TESTS   those binaries
#   PARITTY_VOCABS           folder with llama.cpp's vocabulary files (ggml-vocab-*.gguf), for models of true shapes
#   PARITTY_SHAPES           only these of the speed part's models, such as "tinyllama-1.1b:q4_k_m gpt2-124m:f32"
#   LLAMA_BENCH              llama.cpp's llama-bench with CUDA: timed on the same files in the same run
#
# On a real GPU the table is left in tests/gpu-results.txt as well.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "${1:?which folder?}" && cd "$1" && pwd)
shift
parts=${*:-tests traces limits sanitise speed}
if [ -z "${PARITTY:-}" ]; then
  cargo build --release || exit
  PARITTY=$PWD/target/release/paritty
fi
PARITTY=$(realpath "$PARITTY")
if [[ " $parts " =~ " tests "|" sanitise "|" speed " ]] && [ -z "${PARITTY_TESTS:-}" ]; then
  PARITTY_TESTS=$(cargo test --release --no-run --test cuda --message-format json | grep -o '"executable":"[^"]*/cuda-[^"]*"' | tail -1 | cut -d'"' -f4)
fi
[ -z "${PARITTY_TESTS:-}" ] || PARITTY_TESTS=$(realpath "$PARITTY_TESTS")
export CARGO_MANIFEST_DIR=$PWD
failed=0
table=$out/table
: >"$table"
row() { printf '%-58s %s\n' "$1" "$2" | tee -a "$table"; }
bad() { row "$1" "FAILED, see $2"; failed=1; tail -5 "$2" | cut -c1-200; }
asked() { [[ " $parts " == *" $1 "* ]]; }
seconds() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.1f s", b - a }'; }

# A GPU that nvidia-smi knows is a real one.
real=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null)
row "$(date -u '+%Y-%m-%d %H:%M') UTC, $(uname -m)" "$("$PARITTY" --version), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
row "GPU, driver, memory" "${real:-none that nvidia-smi knows: nothing below was seen on a GPU}"
"$PARITTY" doctor | head -12 | tee -a "$table"

if asked tests; then
  for test in $("$PARITTY_TESTS" --list --ignored | sed -n 's/: test$//p'); do
    log=$out/${test//::/-}.log
    if timeout 300 "$PARITTY_TESTS" --ignored --exact --nocapture "$test" >"$log" 2>&1; then
      row "$test" "$(grep -q '^skipped' "$log" && grep -m1 -o '^skipped.*' "$log" || echo ok), $(grep -o 'finished in.*' "$log")"
    else
      bad "$test" "$log"
    fi
  done
fi

if asked traces; then
  for trace in assets/traces/*.jsonl; do
    name=$(basename "$trace" .jsonl)
    log=$out/compare-$name.log
    timeout 120 "$PARITTY" inspect "assets/models/$name.gguf" --reference "$trace" --candidate cuda --headless >"$log" 2>&1
    code=$?
    row "llama.cpp's trace of $name" "$(grep -m1 '^verdict' "$log")"
    [ $code = 0 ] || failed=1
  done
  tokens=1,443,77,1001,900,13,2,600,31,443,8,300,301,302,303,304,305,306,307,308
  for model in shakespeare-q4_k_m shakespeare-gpt2-f32 shakespeare-phi3-q4_k_m shakespeare-qwen2-f16; do
    log=$out/batch-$model.log
    run() { timeout 120 "$PARITTY" trace "assets/models/$model.gguf" --engine cuda --tokens $tokens "$@" >>"$log" 2>&1; }
    : >"$log"
    run -o "$out/single.jsonl" && run --batch-prefill --ubatch 16 -o "$out/batch.jsonl" &&
      "$PARITTY" compare "$out/single.jsonl" "$out/batch.jsonl" >>"$log" 2>&1 &&
      cmp "$out/single.bin" "$out/batch.bin" >>"$log" 2>&1 &&
      row "$model in batches, every checkpoint" "the same bits" || bad "$model in batches" "$log"
    for set in off logits layers 'Qcur|l_out'; do
      run --checkpoints "$set" -o "$out/set.jsonl" || bad "$model, taps $set" "$log"
      row "$model, taps $set" "$(grep -c '"checkpoint"' "$out/set.jsonl") records"
    done
    run --statistics -o "$out/reduced.jsonl" && row "$model, statistics" "$(grep -c '"non_finite"' "$out/reduced.jsonl") records" ||
      bad "$model, statistics" "$log"
  done
fi

if asked limits; then
  for limit in 1MiB 4MiB 16MiB; do
    log=$out/limit-$limit.log
    timeout 60 "$PARITTY" trace assets/models/shakespeare-q4_k_m.gguf --engine cuda --gpu-memory $limit --tokens 1,443 \
      -n 600 --ignore-eos -o "$out/limited.jsonl" >"$log" 2>&1
    row "at most $limit" "exit $?: $(grep -m1 -E 'needs|recorded' "$log" | cut -c1-300)"
  done
  used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader 2>/dev/null | tr '\n' ' '; }
  before=$(used)
  for signal in TERM KILL; do
    "$PARITTY" trace assets/models/shakespeare-q4_k_m.gguf --engine cuda --tokens 1,443 -n 1000 --ignore-eos \
      -o "$out/killed.jsonl" >"$out/killed.log" 2>&1 &
    victim=$!
    for _ in $(seq 200); do
      [ "$(grep -c '"complete"' "$out/killed.jsonl" 2>/dev/null || true)" -gt 5 ] 2>/dev/null && break
      sleep 0.05
    done
    kill -$signal $victim
    wait $victim 2>/dev/null
    code=$?
    whole=$(grep -c '"complete"' "$out/killed.jsonl")
    "$PARITTY" analyze "$out/killed.jsonl" >"$out/killed-analysis.log" 2>&1
    analysed=$?
    if timeout 60 "$PARITTY" trace assets/models/shakespeare-q4_k_m.gguf --engine cuda --tokens 1,443 -o "$out/after.jsonl" \
      >"$out/after.log" 2>&1 && [ $analysed -lt 2 -o $analysed = 3 ]; then
      row "killed in mid-step by $signal (exit $code)" "$whole whole positions read, the next run works"
    else
      bad "killed in mid-step by $signal" "$out/after.log"
    fi
    rm -f "$out/killed.jsonl" "$out/killed.bin"
  done
  row "memory used before, after" "${before:-unknown}, $(used)"
fi

# Kernels that overlap run one after the other under the sanitiser: each one is checked alone.
if asked sanitise; then
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
      log=$out/$tool-kernels.log
      begun=$(seconds)
      if timeout 240 compute-sanitizer --tool $tool --error-exitcode 9 "$PARITTY_TESTS" --ignored --exact \
        oracle::each_kernel_runs_and_is_right >"$log" 2>&1; then
        row "$tool, every kernel" "clean, $(since "$begun")"
      else
        bad "$tool, every kernel" "$log"
      fi
      log=$out/$tool-decode.log
      if timeout 120 compute-sanitizer --tool $tool --error-exitcode 9 "$PARITTY" trace assets/models/shakespeare-q4_k_m.gguf \
        --engine cuda --tokens 1,443,77 -n 3 --ignore-eos -o "$out/sanitised.jsonl" >"$log" 2>&1; then
        row "$tool, a decode" "clean"
      else
        bad "$tool, a decode" "$log"
      fi
    done
  else
    row "sanitise" "skipped: no compute-sanitizer in PATH"
  fi
fi

# Tokens a second of a line of `paritty bench`.
rate() { awk -v what="$1" 'index($0, what) == 1 { sub(what, ""); print $1; exit }' "$2"; }
ratio() { awk -v a="$1" -v b="$2" "BEGIN { if (a > 0 && b > 0) printf \"$3\", a / b }"; }
speed() {
  local shape=$1 type=$2 vocab=$3 file=$out/$1-$2.gguf log=$out/bench-$1-$2.log theirs=
  [ -f "$file" ] || "$PARITTY" synth "$shape" --type "$type" --vocab "$PARITTY_VOCABS/ggml-vocab-$vocab.gguf" -o "$file" \
    >"$log" 2>&1 || { bad "$shape $type" "$log"; return; }
  cat "$file" >/dev/null
  if ! timeout 200 "$PARITTY" bench "$file" --engine cuda --statistics --batch 64 >"$log" 2>&1; then
    bad "$shape $type" "$log"
    return
  fi
  if [ -n "${LLAMA_BENCH:-}" ]; then
    theirs=$("$LLAMA_BENCH" -m "$file" -ngl 99 -fa 1 -p 0 -n 128 -r 5 2>/dev/null | awk -F'|' '/tg128/ { split($(NF - 1), n, " "); print n[1]; exit }')
  fi
  local off layers all
  off=$(rate 'taps off' "$log") layers=$(rate 'taps layers' "$log") all=$(rate 'taps all' "$log")
  row "$shape $type, taps off" "$off tok/s; llama.cpp ${theirs:-not measured} $(ratio "$off" "${theirs:-0}" '(%.2f times)')"
  row "  layers, all, statistics" "$(ratio "$layers" "$off" '%.3f') $(ratio "$all" "$off" '%.3f') $(ratio "$(rate 'statistics of all' "$log")" "$off" '%.3f')"
  row "  in batches, taps off, all" "$(grep '^batches' "$log" | awk '{ for (i = 1; i < NF; i++) if ($(i + 1) == "tokens/s") printf "%s tok/s ", $i }')"
  row "  $(grep -m1 -o 'opened in.*' "$log")" ""
  if "$PARITTY" bench "$file" --engine cuda --depth 8000 -n 64 --runs 1 --checkpoints off,all >"$log.8k" 2>&1; then
    row "  at position 8,000, taps off, all" "$(rate 'taps off' "$log.8k") $(rate 'taps all' "$log.8k") tok/s"
  else
    row "  at position 8,000" "not run: $(tail -1 "$log.8k" | cut -c1-120)"
  fi
  [ -n "${KEEP_MODELS:-}" ] || rm -f "$file"
}
if asked speed; then
  for start in cold warm damaged; do
    log=$out/opening-$start.log
    case $start in
      cold) rm -rf "$out/kernels" ;;
      damaged) for entry in "$out"/kernels/paritty/kernels/*; do truncate -s -1 "$entry"; done ;;
    esac
    XDG_CACHE_HOME=$out/kernels CUDA_CACHE_DISABLE=1 timeout 120 "$PARITTY_TESTS" --ignored --exact --nocapture \
      memory::opening_says_what_it_takes >"$log" 2>&1 && row "opening, cache of kernels $start" "$(grep -m1 '^kernels' "$log")" ||
      bad "opening, cache of kernels $start" "$log"
  done
  if [ -n "${PARITTY_VOCABS:-}" ]; then
    models="tinyllama-1.1b:q4_k_m:llama-spm gpt2-124m:f32:gpt-2 qwen2.5-0.5b:q4_k_m:qwen2 qwen2.5-0.5b:f16:qwen2
      phi-3-mini-4k:q4_k_m:phi-3 llama-3-8b:q4_k_m:llama-bpe llama-3-8b:f16:llama-bpe"
    for model in $models; do
      [ -z "${PARITTY_SHAPES:-}" ] || [[ " $PARITTY_SHAPES " == *" ${model%:*} "* ]] || continue
      # shellcheck disable=SC2086 # three words
      speed ${model//:/ }
    done
  else
    row "true shapes" "skipped: PARITTY_VOCABS names no vocabularies"
  fi
fi

if [ -n "$real" ]; then
  { [ "$parts" = "tests traces limits sanitise speed" ] || echo "Parts of tests/gpu.sh: $parts"; cat "$table"; } >"$out/gpu-results.txt"
  cp "$out/gpu-results.txt" tests/gpu-results.txt
  echo "kept in tests/gpu-results.txt"
else
  echo "no GPU: nothing is kept"
fi
exit $failed
