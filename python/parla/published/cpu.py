"""`parla.cpu`: the architecture itself, which has an attribute of its own name. So ``from parla.cpu import cpu`` works, and importing the
module does not change what ``from parla import cpu`` gives."""

import sys

from parla.devices import cpu

sys.modules[__name__] = cpu
