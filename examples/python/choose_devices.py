"""Which devices an example runs on when its user names none."""

from parla import Parla, gpu


def choose_devices(wanted, simulated, on_host=False):
    """Return the device string for Parla(devices=) and a sentence that tells where it comes from.

    That is what the user wanted; else all real GPUs; else, where there are none, the `simulated` ones. A program whose tasks compute
    with the host's libraries (`on_host`) takes these in any case.
    """
    if wanted is not None:
        return wanted, f"Asked for: {wanted}."
    if on_host:
        return simulated, f"The host's BLAS does the work, so these are simulated ones ({simulated})."
    with Parla(devices="auto"):
        if len(gpu) > 0:
            return "auto", "All real GPUs."
    return simulated, f"No real GPU was found, so these are simulated ones ({simulated})."
