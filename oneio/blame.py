"""Says where an unexpected error came from, without its text, which may quote a ticket."""

import traceback
from pathlib import Path


def place_of(error: BaseException) -> str:
    """Kind of error, file and line: enough to find it, nothing of what it was about."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
