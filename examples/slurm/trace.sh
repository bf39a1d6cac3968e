#!/bin/bash
#SBATCH --job-name=parla-trace
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --time=00:10:00
# A run that is recorded, and what it says about itself. usage: sbatch trace.sh PROGRAM [ARGUMENT]…
set -eu
parla trace record -o "run.$SLURM_JOB_ID.json" -- srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --cpu-bind=cores python "$@"
parla trace report "run.$SLURM_JOB_ID.json"
