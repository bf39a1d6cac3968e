#!/bin/bash
#SBATCH --job-name=parla-preempted
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --time=00:10:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
# A job that may be pre-empted, or run out of time. usage: sbatch preempted.sh PROGRAM [ARGUMENT]…
#
# All ranks get SIGTERM, 60 s before the end of the time or when the job is pre-empted. A program that does not handle it ends then, with the
# receipt of each rank written: what was done until then, and "ended_by": "SIGTERM".
set -eu
export PARLA_RECEIPT="receipt.$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}.{rank}.json"
exec srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --cpu-bind=cores python "$@"
