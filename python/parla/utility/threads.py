"""A thread whose exception is raised where it is joined."""

from __future__ import annotations

import threading

__all__ = ["Propagate"]


class Propagate(threading.Thread):
    """A thread that keeps the result of its target in `value`; `join` raises the exception that it ended with."""

    value: object = None
    exception: BaseException | None = None

    def run(self) -> None:
        """Call the target."""
        try:
            if self._target is not None:
                self.value = self._target(*self._args, **self._kwargs)
        except BaseException as error:
            self.exception = error
        finally:
            del self._target, self._args, self._kwargs

    def join(self, timeout: float | None = None) -> object:
        """Wait for the end and return the result; None if the timeout came first."""
        super().join(timeout)
        if self.exception is not None:
            raise self.exception
        return self.value
