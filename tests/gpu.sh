#!/usr/bin/env bash
# Builds, tests, sanitises and times the CUDA engine on a machine with a GPU, and prints a short table.
#
# Usage: tests/gpu.sh [FOLDER]   FOLDER: where models and logs go (default: a temporary one)
#   PARITTY, PARITTY_TESTS   binaries of the program and of tests/cuda.rs built elsewhere, where there is no Rust
#   PARITTY_VOCABS           folder with llama.cpp's vocabulary files (ggml-vocab-*.gguf): models of true shapes are
#                            made and timed
#   LLAMA_BENCH              llama.cpp's llama-bench with CUDA: timed on the same files
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
mkdir -p "$out"
if [ -z "${PARITTY:-}" ]; then
  cargo build --release
  PARITTY=$PWD/target/release/paritty
fi
if [ -z "${PARITTY_TESTS:-}" ]; then
  PARITTY_TESTS=$(cargo test --no-run --test cuda --message-format json | grep -o '"executable":"[^"]*/cuda-[^"]*"' | tail -1 | cut -d'"' -f4)
fi
failed=0
row() { printf '%-66s %s\n' "$1" "$2"; }

printf '%s\n' "$(date -u +%Y-%m-%d) $(uname -m)"
"$PARITTY" doctor | head -5

for test in $("$PARITTY_TESTS" --list --ignored | sed -n 's/: test$//p'); do
  if timeout 300 "$PARITTY_TESTS" --ignored --exact --nocapture "$test" >"$out/$test.log" 2>&1; then
    row "$test" "ok $(grep -o 'finished in.*' "$out/$test.log")"
  else
    row "$test" "FAILED, see $out/$test.log"
    failed=1
  fi
done

# Kernels that overlap are one after the other under the sanitiser; so every one is checked alone.
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    for model in shakespeare-q4_k_m shakespeare-gpt2-f32 shakespeare-phi3-q4_k_m; do
      if timeout 300 compute-sanitizer --tool "$tool" --error-exitcode 9 "$PARITTY" trace "assets/models/$model.gguf" \
        --engine cuda --tokens 1,443,77 -o "$out/sanitised.jsonl" >"$out/$tool-$model.log" 2>&1; then
        row "$tool, decode of $model" "clean"
      else
        row "$tool, decode of $model" "FAILED, see $out/$tool-$model.log"
        failed=1
      fi
    done
  done
fi

# Each recorded trace of the real llama.cpp against the GPU.
for trace in assets/traces/*.jsonl; do
  name=$(basename "$trace" .jsonl)
  timeout 120 "$PARITTY" inspect "assets/models/$name.gguf" --reference "$trace" --candidate cuda --headless \
    >"$out/compare-$name.log" 2>&1
  code=$?
  row "llama.cpp's trace of $name" "$(grep -m1 '^verdict' "$out/compare-$name.log")"
  [ $code = 0 ] || failed=1
done

bench() {
  local file=$out/$1-$2.gguf
  [ -f "$file" ] || "$PARITTY" synth "$1" --type "$2" --vocab "$PARITTY_VOCABS/ggml-vocab-$3.gguf" -o "$file" || return
  "$PARITTY" bench "$file"
  if [ -n "${LLAMA_BENCH:-}" ]; then
    "$LLAMA_BENCH" -m "$file" -ngl 99 -fa 1 -p 0 -n 128 -r 10 2>/dev/null | grep -E 'tg128'
  fi
}
if [ -n "${PARITTY_VOCABS:-}" ]; then
  bench tinyllama-1.1b q4_k_m llama-spm
  bench llama-3-8b q4_k_m llama-bpe
  bench llama-3-8b f16 llama-bpe
  bench qwen2.5-0.5b f16 qwen2
  bench qwen2.5-0.5b q4_k_m qwen2
  bench gpt2-124m f32 gpt-2
  bench phi-3-mini-4k q4_k_m phi-3
fi
exit $failed
