"""Replay: what was received is sent once more, after a plan has said what that would do."""
