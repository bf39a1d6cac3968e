"""What a run did: traces read, merged, explained, compared, and drawn.

A runtime writes a trace with ``Parla(trace="trace.json")`` or ``PARLA_TRACE``; `parla trace record` does that for every rank of a command.
The file is Chrome trace-event JSON, so Perfetto and chrome://tracing open it too. Here `read` makes arrays of it, `report` says where the
time went, `why` why a task began when it did, `diff` compares two runs, `merge` puts the files of several ranks into one, and
`write_timeline` draws a page for a browser.
"""

from .differing import diff
from .explaining import why
from .merging import merge
from .recorded import Recorded, read
from .reporting import report
from .timeline import write_timeline

__all__ = ["Recorded", "diff", "merge", "read", "report", "why", "write_timeline"]
