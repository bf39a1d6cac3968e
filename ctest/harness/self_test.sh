#!/bin/sh
# usage: self_test.sh PROGRAM      Runs failing.c's program and compares verdicts and messages with what they must be.
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

PARLA_DEVICES=nonsense PARLA_TEST_SEED=7 "$program" >"$folder/out" 2>"$folder/err"
status=$?

n_wrong=0
expect() { # file pattern
    grep -qE "$2" "$folder/$1" || {
        echo "no line like '$2' in:"
        cat "$folder/$1"
        n_wrong=$((n_wrong + 1))
    }
}
expect out '^# seed 7$'
expect out '^1\.\.8$'
expect out '^ok 1 - passes '
expect out '^not ok 2 - fails # signal 6 '
expect err 'failing.c:[0-9]+: failed in fails \(seed 7\)'
expect err 'left:  3 '
expect err 'right: 4 '
expect out '^ok 3 - skips # SKIP'
expect out '^not ok 4 - crashes # (signal 11|exit [0-9]+) '
expect out '^not ok 5 - exits # exit 3 '
expect out '^not ok 6 - waits_in_vain '
expect err 'waiting for getpid\(\) == 0: failed in waits_in_vain'
expect out '^not ok 7 - hangs # out of time'
expect err 'in a loop without end'
expect out '^ok 8 - has_a_clean_environment '
[ "$status" = 1 ] || {
    echo "exit status $status, not 1"
    n_wrong=$((n_wrong + 1))
}
"$program" skips >/dev/null 2>&1
[ $? = 77 ] || {
    echo "a program of skipped cases must exit with 77"
    n_wrong=$((n_wrong + 1))
}
"$program" --seed 9 passes | grep -q '^# seed 9$' || n_wrong=$((n_wrong + 1))
"$program" no_such_case >/dev/null 2>&1
[ $? = 2 ] || n_wrong=$((n_wrong + 1))
exit $((n_wrong > 0))
