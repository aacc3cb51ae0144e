#!/usr/bin/env bash
# Measures src/compare/noise.tsv again, with a paritty built with the feature llama-cpp:
#   src/compare/noise.sh target/release/paritty FOLDER
# Some minutes on an idle machine; FOLDER takes 3 GB of models and traces, and what is finished there is
# kept. The number of threads is not changed: it changes no bit, and waiting threads of llama.cpp spin.
set -euo pipefail
paritty=$1 folder=$2
assets=$(dirname "$0")/../../assets/models
mkdir -p "$folder/models"

# make ARCHITECTURE TYPE [OUTLIERS]: six layers of random weights.
make() {
    local vocabulary=shakespeare-qwen2-f16 name=$1-$2${3:+-outliers}
    case $1 in llama | phi3 | gemma*) vocabulary=shakespeare-f16 ;; esac
    [ -f "$folder/models/$name.gguf" ] || "$paritty" synth "tiny-$1" --type "$2" --layers 6 \
        ${3:+--outliers "$3"} --vocab "$assets/$vocabulary.gguf" -o "$folder/models/$name.gguf"
}

for type in f32 f16 q8_0 q4_k_m; do
    for architecture in llama qwen2 qwen3 phi3 gpt2 gemma2 gemma3; do make $architecture $type; done
    for architecture in llama qwen2 gpt2; do make $architecture $type 4; done
done
for type in q4_0 q5_k_m q6_k; do make llama $type; done

"$paritty" survey "$assets"/*.gguf "$folder"/models/*.gguf --reference llama.cpp -n 24 --threads 1 \
    --spread=flash-attention,batch,kv-f32,no-repack --out "$folder/survey" \
    --noise-table "$(dirname "$0")/noise.tsv" --compact
