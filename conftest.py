"""All pytest runs: the same seeds every time, unless PARLA_TEST_SEED says otherwise (ci/soak sets it); Ctrl-C as in a terminal."""

import os
import random
import signal

import pytest

try:
    import hypothesis
except ImportError:
    hypothesis = None

DEFAULT_SEED = 20260101

if hypothesis is not None:
    hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, database=None)
    hypothesis.settings.register_profile("soak", max_examples=1000, deadline=None, print_blob=True, database=None)
    hypothesis.settings.load_profile("soak" if "PARLA_TEST_SEED" in os.environ else "ci")


def _seed():
    return int(os.environ.get("PARLA_TEST_SEED", DEFAULT_SEED))


def pytest_report_header():
    """Print the seed, so that a failure can be repeated."""
    return f"seed {_seed()} (PARLA_TEST_SEED)"


def pytest_configure(config):
    """Give Hypothesis the seed when one was asked for; let programs under test be interrupted.

    A shell starts what runs in its background with SIGINT ignored, and programs inherit that.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hypothesis is not None and "PARLA_TEST_SEED" in os.environ and config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(_seed())


@pytest.fixture
def seed():
    """Return the seed of this run."""
    return _seed()


@pytest.fixture
def rng():
    """Return a random.Random that starts from the seed of this run."""
    return random.Random(_seed())
