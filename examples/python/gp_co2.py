"""Gaussian-process regression on the weekly Mauna Loa CO2 record, with tasks over devices.

The kernel matrix is a CrossPy array spread as tiles over the devices, its Cholesky factorisation a graph of tasks on the
tiles. The model is conditioned on the values up to the end of 1995 and predicts those of 1996 to 2001. Results are checked
against plain SciPy: the exit status is 1 if they differ or cannot be computed, 2 if the input cannot be used. Under mpirun the
tiles are spread over the devices of all ranks, and the first rank checks, prints and draws.
"""

import argparse
import contextlib
import io
import sys
from pathlib import Path

from choose_devices import choose_devices
import crosspy as xp
from gp import blas, data, meter, outcome, pipeline, plot, ranks, reference, report
from parla import ConfigError, NoDeviceError, Parla, ParlaError, cpu, gpu
from parla.trace import merge

RECORD = Path(__file__).resolve().parents[1] / "data" / "co2.csv"
REPEATS = 5


def parse(arguments):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--csv", type=Path, default=RECORD, help="rows of date,co2 (YYYYMMDD, ppm); default: the record")
    parser.add_argument("--size", type=sample_size, help="condition on this many synthetic weeks, drawn from the kernel, instead")
    parser.add_argument("--seed", type=seed, default=0, help="of the synthetic weeks (default: %(default)s)")
    parser.add_argument("--devices", help="such as sim:2; default: all GPUs if there is CuPy, else sim:2")
    parser.add_argument("--workers", type=positive_integer, help="worker threads (default: one for each core)")
    parser.add_argument("--block", type=positive_integer, default=240, help="rows of a tile (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder of the results (default: %(default)s)")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar, which only a terminal gets anyway")
    return parser.parse_args(arguments)


def positive_integer(text):
    """Read a number that counts something; argparse turns the errors into its own."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def sample_size(text):
    """Read a number of values from which something can be learnt."""
    value = positive_integer(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be at least 2, not {value}")
    return value


def seed(text):
    """Read the seed of a random generator."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative: {value}")
    return value


def main(arguments=None):
    """Run the program; return its exit status."""
    team = ranks.Ranks()
    with contextlib.nullcontext() if team.is_first else contextlib.redirect_stderr(io.StringIO()):
        options = parse(arguments)  # the same words at each rank
    try:
        series = data.draw(options.size, options.seed) if options.size else data.read_csv(options.csv)
        options.output.mkdir(parents=True, exist_ok=True)
        return 0 if regress(series, options, team) else 1
    except (data.DataError, ConfigError, NoDeviceError, OSError) as error:
        return team.fail(error, 2)
    except (blas.NotPositiveDefinite, ParlaError) as error:
        return team.fail(error, 1)
    except KeyboardInterrupt:
        print("gp_co2: interrupted", file=sys.stderr)
        return 130


def regress(series, options, team):
    """Compute, check, report and draw; return True if all checks passed."""
    report.series(series)
    problem = series.train_time, series.train_value - series.offset, series.test_time
    devices, note = choose_devices(options.devices, simulated="sim:2", library="cupy")
    trace = options.output / "gp_co2.trace.json"
    own = [trace.with_suffix(f".{rank}.json") for rank in range(team.size)] if team.size > 1 else [trace]
    with Parla(n_workers=options.workers, devices=devices, trace=own[team.rank], mpi="auto") as runtime:
        report.devices(runtime, team, note)
        watch = meter.Meter(runtime, team, not options.no_progress)
        solution = pipeline.run(*problem, xp.places(gpu) or xp.places(cpu), options.block, REPEATS, watch)
    phases = team.gather(watch.phases)
    team.leave()
    if team.is_first and team.size > 1:
        merge(own, trace)
    return conclude(series, problem, solution, meter.merged(meter.joined(phases)), options, trace) if team.is_first else True


def conclude(series, problem, solution, phases, options, trace):
    """Check, report and draw what the ranks have computed; return True if all checks passed."""
    report.layout(solution.layout)
    report.phases(phases)
    expected = reference.solve(*problem)
    seconds = reference.factor_seconds(expected.matrix, sorted({1, report.n_cores()}), REPEATS)
    report.speed(len(series.train_time), phases, seconds, REPEATS)
    prediction = outcome.Prediction(solution.mean + series.offset, solution.variance)
    scores = outcome.score(prediction, series.test_value)
    report.result(scores, solution.log_likelihood)
    picture = options.output / "gp_co2.png"
    plot.write(picture, series, prediction, scores)
    report.files(picture, trace)
    return report.checks(outcome.check(solution, expected))


if __name__ == "__main__":
    sys.exit(main())
