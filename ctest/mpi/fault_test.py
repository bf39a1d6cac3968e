"""Jobs of which one rank comes to a bad end: every survivor names it, all end within seconds, and nothing stays behind.

usage: fault_test.py RUN PROGRAM [--rounds N] [--seed N]

Each round runs PROGRAM (fault_program.c) on 2 to 4 ranks with a victim, an end, a moment and a transport drawn from the seed. Afterwards
the lines of the survivors, the time from the victim's end to the job's, processes, /dev/shm, System V segments and the private TMPDIR are
checked. Where the system lets it, the test has a /dev/shm and segments of its own (a mount and an IPC namespace), so that whatever is there
afterwards was left; elsewhere it looks for names with the job's process numbers, and says so.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 5.0  # from the victim's end to the job's
HOWS = {
    "kill": "killed by signal 9 (Killed)",
    "segv": "killed by signal 11 (Segmentation fault)",
    "exit": "it exited with status 0 in the middle of the job",
}


ALONE = "PARLA_TEST_HAS_SHM"  # in the environment: /dev/shm and the System V segments are this test's own


def get_alone():
    """Start this test again in namespaces of its own, if the system lets it."""
    mount = 'mount -t tmpfs parla-test /dev/shm && exec "$@"'
    for options in (["--mount", "--ipc"], ["--map-root-user", "--mount", "--ipc"]):
        command = ["unshare", *options, "sh", "-c", mount, "sh"]
        try:
            done = subprocess.run([*command, "true"], capture_output=True, check=False)
        except OSError:
            break
        if done.returncode == 0:
            os.execvpe(command[0], [*command, sys.executable, *sys.argv], {**os.environ, ALONE: "1"})
    print("# /dev/shm is shared with the machine: only names with process numbers of the job are looked at")


def left_behind(pids):
    """Return what a job of these processes has left in the machine: names in /dev/shm and System V segments."""
    names = [path.name for path in Path("/dev/shm").iterdir()]
    segments = [line.split() for line in Path("/proc/sysvipc/shm").read_text(encoding="utf-8").splitlines()[1:]]
    if ALONE not in os.environ:
        names = [name for name in names if any(str(pid) in name or f"{pid:x}" in name for pid in pids)]
        segments = [row for row in segments if int(row[4]) in pids]
    return names + [f"segment {row[1]} of process {row[4]}" for row in segments]


def is_alive(pid):
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run_job(command, n_ranks, tmp, timeout_s=40):
    """Run a job; return its output and when it ended."""
    env = {**os.environ, "TMPDIR": str(tmp)}
    done = subprocess.run([command[0], str(n_ranks), str(timeout_s), *command[1:]], capture_output=True, text=True, check=False, env=env)
    return done, time.time()


def check(is_true, what, done):
    """Stop the test with the job's output unless something holds."""
    if not is_true:
        sys.exit(f"{what}\n--- status {done.returncode}\n{done.stdout}\n{done.stderr}")


def wait_until(condition, limit_s):
    """Wait for a condition; return whether it came true."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def one_round(run, program, rng, tmp):
    """Run one job; return the seconds from the victim's end to the job's."""
    n_ranks, how, transport = rng.randint(2, 4), rng.choice([*HOWS, "fail"]), rng.choice(["ucx", "mpi"])
    victim, delay_ms = rng.randrange(n_ranks), rng.choice([0, 1, 3, 10, 50])
    print(f"# {n_ranks} ranks over {transport}: rank {victim} ends by {how} after {delay_ms} ms", flush=True)
    done, ended = run_job([run, program, how, str(victim), str(delay_ms), transport], n_ranks, tmp)
    pids = {int(rank): int(pid) for pid, rank in re.findall(r"pid (\d+) of rank (\d+)", done.stderr)}
    moment = re.search(r"victim (\d+\.\d+)", done.stderr)
    check(moment is not None and done.returncode != 0, "the victim did not end, or the job did not fail", done)
    for rank in set(range(n_ranks)) - {victim} if how in HOWS else ():
        line = rf"\[rank {rank}\] error: rank {victim} \(process \d+ on [^)]+\) died: {re.escape(HOWS[how])}"
        check(len(re.findall(line, done.stderr)) == 1, f"rank {rank} does not name the victim, or not once", done)
    check(done.stderr.count("died:") == (n_ranks - 1 if how in HOWS else 0), "somebody else is named", done)
    check(how != "fail" or done.returncode == 5, "the status of parla_mpi_fail is lost", done)
    check(wait_until(lambda: not any(map(is_alive, pids.values())), 5), f"processes stay: {pids}", done)
    check(wait_until(lambda: not left_behind(pids.values()), 5), f"shared memory stays: {left_behind(pids.values())}", done)
    stays = [path for path in Path(tmp).rglob("*") if not path.is_dir()]
    check(not stays, f"in TMPDIR stays {stays}", done)
    return ended - float(moment[1])


def stopped(run, program, tmp):
    """A stopped rank is reported as stopped, and its job goes on until somebody ends it."""
    command = [run, "2", "40", program, "stop", "1", "0", "ucx"]
    env = {**os.environ, "TMPDIR": str(tmp), "PARLA_LOG": "warn"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env) as job:
        seen = ""
        pids = {}
        for line in job.stderr:
            seen += line
            pids.update({int(rank): int(pid) for pid, rank in re.findall(r"pid (\d+) of rank (\d+)", line)})
            if "is stopped, not dead" in line:
                os.kill(pids[1], signal.SIGKILL)
        job.wait()
    if not wait_until(lambda: not left_behind(pids.values()), 5):
        sys.exit(f"shared memory stays: {left_behind(pids.values())}")
    if "[rank 0] error: rank 1" not in seen or "is stopped, not dead" not in seen:
        sys.exit(f"a stopped rank is not reported\n{seen}")


def main():
    """Run the rounds and report the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("PARLA_TEST_SEED", "20260101")))
    args = parser.parse_args()
    if ALONE not in os.environ:
        get_alone()
    print(f"# seed {args.seed}")
    rng = random.Random(args.seed)
    times = []
    with tempfile.TemporaryDirectory(prefix="parla-fault-") as tmp:
        for _ in range(args.rounds):
            times.append(one_round(args.run, args.program, rng, tmp))
        stopped(args.run, args.program, tmp)
    times.sort()
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{len(times)} jobs ended {times[len(times) // 2]:.2f} s after the victim in the middle, {p99:.2f} s at the 99th percentile")
    return p99 > LIMIT_S


if __name__ == "__main__":
    sys.exit(main())
