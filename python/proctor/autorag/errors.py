"""What ends a project before or between its steps."""

from __future__ import annotations

from proctor.refused import Refused


class ConfigError(Refused):
    """Something in a file that its author can change: where, what, what to do."""


class Omissions:
    """What is not there: an error, or, where that is allowed, left out and told."""

    def __init__(self, allowed: bool, notes: list[str]):
        self.allowed, self.notes = allowed, notes

    def leave_out(self, where: str, why: str) -> None:
        if not self.allowed:
            raise ConfigError(f"{where}: {why}; --skip-unknown leaves out what is not there")
        self.notes.append(f"{where}: left out: {why}")


def nearest(name: str, known: list[str]) -> str:
    """'; did you mean ...?', or nothing."""
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
