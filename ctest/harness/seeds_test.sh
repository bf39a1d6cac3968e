#!/bin/sh
# usage: seeds_test.sh PROGRAM CASE RULE KEEP_SEEDS      With the rule broken, a seed of the case fails. It has to be told with a command that
# repeats it alone, KEEP_SEEDS has to write it down from the output, and the case kept_seeds has to fail for it, but not for the whole program.
set -u
program=$1 case=$2 rule=$3 keep=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "$1"
    cat "$folder/log"
    exit 1
}

PL_BREAK=$rule "$program" "$case" >"$folder/log" 2>&1 && fail "no seed fails"
again=$(sed -n 's/^ *again: \(PARLA_TEST_ONE=.*\)/\1/p' "$folder/log")
[ -n "$again" ] || fail "no command that repeats it"
: >"$folder/kept"
"$keep" "$folder/log" "$folder/kept"
"$keep" "$folder/log" "$folder/kept" # once is enough
[ "$(wc -l <"$folder/kept")" = 1 ] || fail "not kept, or twice: $(cat "$folder/kept")"
eval "PL_BREAK=$rule $again" >"$folder/log" 2>&1 && fail "alone it passes: $again"
PL_BREAK=$rule PARLA_TEST_KEPT=$folder/kept "$program" kept_seeds >"$folder/log" 2>&1 && fail "it passes where it is kept"
PARLA_TEST_KEPT=$folder/kept "$program" kept_seeds >"$folder/log" 2>&1 || fail "the whole program fails"
grep -q '^# count: 1 kept seeds$' "$folder/log" || fail "it was not looked at"
