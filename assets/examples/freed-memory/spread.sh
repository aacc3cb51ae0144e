#!/bin/sh
# The "garbage rate" of one engine under the rule |x| > 1e6, wherever its memory happens to lie; beside it the
# share of rows that differ from the right values. Needs c++; setarch where there is one.
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
build() { ${CXX:-c++} -std=c++11 -O1 -pthread -I../../loggers "$@" freed_memory.cpp; }
build -o "$out/pie"
build -no-pie -o "$out/fixed-address"

# rates NAIVE FIXED: per cent of rows with a value beyond 1e6, per cent of rows that differ
rates() {
    sed 's/.*"values":\[//; s/\].*//' "$1" >"$out/a"
    grep '"values"' "$2" | sed 's/.*"values":\[//; s/\].*//' >"$out/b"
    paste "$out/a" "$out/b" | awk '{
        n = split($1, a, ","); split($2, b, ","); big = other = 0
        for (i = 1; i <= n; i++) {
            x = a[i] + 0; d = x - b[i]
            if (a[i] ~ /[a-z]/ || x > 1e6 || x < -1e6) big = 1
            if (a[i] ~ /[a-z]/ || d > 1e-5 || d < -1e-5) other = 1
        }
        rows++; bigs += big; others += other
    } END { printf "%d %d\n", 100 * bigs / rows + 0.5, 100 * others / rows + 0.5 }'
}

# line WHAT TIMES COMMAND…
line() {
    what=$1 times=$2
    shift 2
    : >"$out/rates"
    for _ in $(seq "$times"); do
        ORCH_LOG_FILE="$out/fixed.jsonl" "$@" fixed
        ORCH_LOG_FILE="$out/naive.jsonl" "$@" naive || { echo "$what: the program crashed"; return; }
        rates "$out/naive.jsonl" "$out/fixed.jsonl" >>"$out/rates"
    done
    printf '| %-44s | %-40s | %s |\n' "$what" "$(cut -d ' ' -f 1 "$out/rates" | sort -n | tr '\n' ' ')" "$(cut -d ' ' -f 2 "$out/rates" | sort -nu | tr '\n' ' ')"
}

printf '| %-44s | %-40s | %s |\n' "run" "rows with |x| > 1e6, %" "rows that are wrong, %"
echo "|---|---|---|"
line "as it comes, ten times" 10 "$out/pie"
line "14 tokens" 10 env TOKENS=14 "$out/pie"
line "500 tokens" 10 env TOKENS=500 "$out/pie"
if setarch -R true 2>/dev/null; then line "without address randomisation" 3 setarch -R "$out/pie"; fi
line "linked to a fixed address (-no-pie)" 10 "$out/fixed-address"
line "32 values a row instead of 10" 10 env ORCH_LOG_VALUES=32 "$out/pie"
line "300 values a row" 10 env ORCH_LOG_VALUES=300 "$out/pie"
line "glibc.malloc.tcache_count=0" 10 env GLIBC_TUNABLES=glibc.malloc.tcache_count=0 "$out/pie"
line "glibc.malloc.tcache_count=1000" 10 env GLIBC_TUNABLES=glibc.malloc.tcache_count=1000 "$out/pie"
line "MALLOC_TOP_PAD_=64000000" 10 env MALLOC_TOP_PAD_=64000000 "$out/pie"
