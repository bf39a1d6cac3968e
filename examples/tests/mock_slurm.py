"""A double of Slurm's sbatch and srun on one machine, for the job scripts of examples/slurm: it sets the variables that Slurm sets, refuses
options that it does not know, and passes signals on as slurmd does: to every process of a step.

    sbatch [--test-job=N] SCRIPT [ARGUMENT]…      runs the script at once, in the foreground
    srun [OPTION]… COMMAND…                       starts the ranks by mpirun, which stands in for Slurm's own PMI

Ranks see Slurm's variables, not those by which mpirun tells ranks their numbers.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

DIRECTIVES = {"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "time", "signal", "requeue", "open-mode"}
STEP_OPTIONS = {"ntasks", "cpus-per-task", "cpu-bind", "mpi"}
OPTION = re.compile(r"--([a-z-]+)(?:=(.*))?$")


def options_of(words, known, command):
    """Split words into options of these names and the rest."""
    found = {}
    while words and words[0].startswith("--"):
        match = OPTION.match(words[0])
        if not match or match[1] not in known:
            sys.exit(f"{command}: unrecognized option '{words[0]}'")
        found[match[1]] = match[2] or ""
        words = words[1:]
    return found, words


def sbatch(words):
    """Run a job script as slurmd would on the first node."""
    own, (script, *arguments) = options_of(words, {"test-job"}, "sbatch")
    directives = [line.split()[1:] for line in Path(script).read_text().splitlines() if line.startswith("#SBATCH")]
    asked, rest = options_of([word for line in directives for word in line], DIRECTIVES, "sbatch")
    if rest:
        sys.exit(f"sbatch: invalid directive {rest}")
    if not re.fullmatch(r"\d\d:\d\d:\d\d", asked["time"]) or not re.fullmatch(r"(?:B:)?[A-Z0-9]+@\d+", asked.get("signal", "TERM@1")):
        sys.exit("sbatch: invalid time or signal")
    n_nodes, per_node = int(asked["nodes"]), int(asked["ntasks-per-node"])
    job = {
        "SLURM_JOB_ID": own.get("test-job", "17"), "SLURM_JOB_NAME": asked["job-name"], "SLURM_JOB_NODELIST": "node[1-%d]" % n_nodes,
        "SLURM_JOB_NUM_NODES": str(n_nodes), "SLURM_NTASKS": str(n_nodes * per_node), "SLURM_NTASKS_PER_NODE": str(per_node),
        "SLURM_CPUS_PER_TASK": asked["cpus-per-task"], "SLURM_SUBMIT_DIR": os.getcwd(), "SLURM_PROCID": "0",
    }  # fmt: skip
    if "gpus-per-node" in asked:
        job["SLURM_GPUS_ON_NODE"] = asked["gpus-per-node"]
    os.execvpe("bash", ["bash", script, *arguments], {**os.environ, **job})


def srun(words):
    """Start the ranks of a step and wait for them."""
    if "SLURM_JOB_ID" not in os.environ:
        sys.exit("srun: error: outside of a job, this double knows no nodes")
    asked, command = options_of(words, STEP_OPTIONS, "srun")
    n_ranks = int(asked.get("ntasks", os.environ["SLURM_NTASKS"]))
    step = {name: value for name, value in os.environ.items() if name.startswith("SLURM_")}
    step.update(SLURM_STEP_ID="0", SLURM_STEP_NUM_TASKS=str(n_ranks), SLURM_NTASKS=str(n_ranks))
    with tempfile.TemporaryDirectory(prefix="mock-slurm-") as folder:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        plain.update({f"MOCK_{name}": value for name, value in step.items()}, MOCK_PIDS=folder)
        ranks = subprocess.Popen(["mpirun", "-n", str(n_ranks), sys.executable, __file__, "rank", *command], env=plain)

        def forward(number, _):
            for pid in Path(folder).iterdir():
                os.kill(int(pid.name), number)

        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, forward)
        sys.exit(ranks.wait())


def rank(command):
    """Become one rank of a step: mpirun's variables go, Slurm's come."""
    number = os.environ["OMPI_COMM_WORLD_RANK"]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM_WORLD_", "MOCK_"))}
    own.update({name.removeprefix("MOCK_"): value for name, value in os.environ.items() if name.startswith("MOCK_SLURM_")})
    own.update(SLURM_PROCID=number, SLURM_LOCALID=number, SLURM_NODEID="0")
    (Path(os.environ["MOCK_PIDS"]) / str(os.getpid())).touch()
    os.execvpe(command[0], command, own)


if __name__ == "__main__":
    {"sbatch": sbatch, "srun": srun, "rank": rank}[sys.argv[1]](sys.argv[2:])
