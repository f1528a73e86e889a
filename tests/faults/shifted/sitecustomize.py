"""Loaded by every Python that has this folder on PYTHONPATH: its clock is FAULTS_CLOCK_SHIFT seconds off.

Only what tells the time of day is shifted; `time.monotonic` goes on as ever, as when a clock is set wrong.
"""

import copyreg
import datetime as module
import os
import time
from typing import Any

SHIFT = float(os.environ["FAULTS_CLOCK_SHIFT"])
_datetime, _time, _time_ns = module.datetime, time.time, time.time_ns


class _Kind(type):
    """What is a datetime is one of the shifted kind too, whoever made it."""

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, _datetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, _datetime)


class datetime(_datetime, metaclass=_Kind):
    """The standard class with another idea of now; what it makes are standard ones."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return _datetime(*arguments, **named)

    @classmethod
    def now(cls, tz: module.tzinfo | None = None) -> Any:
        """The wrong time."""
        return _datetime.now(tz) + module.timedelta(seconds=SHIFT)


datetime.__module__ = "datetime"
module.datetime = datetime  # type: ignore[misc]
copyreg.pickle(_datetime, lambda one: (datetime, one.__reduce__()[1]))  # type: ignore[arg-type,index]
time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + round(SHIFT * 1e9)
