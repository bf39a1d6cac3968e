#!/bin/bash
#SBATCH --job-name=parla-cpu
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --time=00:10:00
# Ranks on CPUs. usage: sbatch cpu.sh PROGRAM [ARGUMENT]…
#
# srun binds each rank to its cores, and its runtime has a worker for each of them. On a node of 64 cores 4 ranks of 16 do well.
set -eu
export PARLA_RECEIPT="receipt.$SLURM_JOB_ID.{rank}.json"
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --cpu-bind=cores parla doctor
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --cpu-bind=cores python "$@"
