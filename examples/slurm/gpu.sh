#!/bin/bash
#SBATCH --job-name=parla-gpu
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --gpus-per-node=2
#SBATCH --time=00:10:00
# Ranks with GPUs. usage: sbatch gpu.sh PROGRAM [ARGUMENT]…
#
# All ranks of a node see all of its GPUs and share them out by locality, so no --gpus-per-task here: it would hide the others, and with them
# copies between GPUs.
set -eu
export PARLA_DEVICES="${PARLA_DEVICES:-auto}" PARLA_RECEIPT="receipt.$SLURM_JOB_ID.{rank}.json"
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --cpu-bind=cores python "$@"
