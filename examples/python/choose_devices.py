"""Which devices an example runs on when its user names none."""

import importlib.util

from parla import Parla, gpu


def choose_devices(wanted, simulated, library=None):
    """Return the device string for Parla(devices=) and a sentence that tells where it comes from.

    That is what the user wanted; else all real GPUs, if the Python module `library`, which computes there, is installed; else the
    `simulated` ones.
    """
    if wanted is not None:
        return wanted, f"Asked for: {wanted}."
    if library is not None and importlib.util.find_spec(library) is None:
        return simulated, f"There is no {library} to compute on real GPUs, so these are simulated ones ({simulated})."
    with Parla(devices="auto"):
        if len(gpu) > 0:
            return "auto", "All real GPUs."
    return simulated, f"No real GPU was found, so these are simulated ones ({simulated})."
