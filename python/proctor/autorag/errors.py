"""What ends a project before or between its steps."""

from __future__ import annotations

from proctor.refused import Refused


class ConfigError(Refused):
    """Something in a file that its author can change: where, what, what to do."""


def nearest(name: str, known: list[str]) -> str:
    """'; did you mean ...?', or nothing."""
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
