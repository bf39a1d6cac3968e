#!/usr/bin/env bash
# usage: run.sh RANKS SECONDS program [argument]…     Runs a program on that many ranks, or fails after so many seconds. The standard output is
# that of rank 0; the standard error is everybody's. MPIRUN names the launcher,
# BIND_TO what Open MPI's is to bind ranks to.
set -u
if [[ ${1:-} == --rank ]]; then
    shift
    if [[ ${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}} == 0 ]]; then
        exec "$@"
    fi
    exec "$@" >/dev/null
fi
n_ranks=$1 seconds=$2
shift 2
launcher=${MPIRUN:-mpirun}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # even --version asks for these
if "$launcher" --version 2>&1 | grep -qE 'Open MPI|OpenRTE'; then
    # Ranks share cores here, so one that waits inside MPI yields.
    export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_orte_base_help_aggregate=0
    # The launcher ends a job that is out of time; what is around it ends a launcher that does not.
    exec timeout --foreground --kill-after=10 $((seconds + 20)) "$launcher" ${BIND_TO:+--bind-to "$BIND_TO"} --oversubscribe --timeout "$seconds" -n "$n_ranks" "$BASH_SOURCE" --rank "$@"
fi
exec timeout "$seconds" "$launcher" -n "$n_ranks" "$BASH_SOURCE" --rank "$@"
