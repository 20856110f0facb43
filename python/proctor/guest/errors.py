"""What an engine raises, and what proctor is told of it."""

from __future__ import annotations

from proctor.refused import Refused

USAGE, ENVIRONMENT, INPUT, INTERNAL = "usage", "environment", "input", "internal"
EXIT_CODES = {INTERNAL: 1, USAGE: 2, ENVIRONMENT: 4, INPUT: 5}  # as orchestrator/base/exit_code.h
# By name, since their packages are not imported here.
OUT_OF_MEMORY_CLASSES = ("OutOfMemoryError", "MemoryError")


class BadRequest(Exception):
    """One request cannot be answered, and the others of its unit can."""


class OutOfMemory(Exception):
    """The unit does not fit; proctor tries its shard again with a smaller max_batch_tokens."""


class EngineBroken(Exception):
    """The engine cannot be used any more; proctor replaces this process and runs the shard again."""


class BadFile(Refused):
    """A file of the model's folder is missing or damaged."""

    fault = INPUT


class Missing(Refused):
    """This Python lacks a package."""

    fault = ENVIRONMENT


class BadAnswer(Exception):
    """The engine's run() returned something that does not answer its requests."""


def is_out_of_memory(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, OutOfMemory) or not names.isdisjoint(OUT_OF_MEMORY_CLASSES)


def message_of(error: BaseException) -> str:
    """The last line of its text, behind its type where the type is not one of these."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if isinstance(error, (BadRequest, OutOfMemory, EngineBroken, Refused, BadAnswer)):
        return last or type(error).__name__
    return f"{type(error).__name__}: {last}" if last else type(error).__name__


def fault_of(error: BaseException) -> str:
    """Whose fault it is that a module is refused or does not load."""
    if isinstance(error, Refused):
        return str(getattr(error, "fault", USAGE))
    if isinstance(error, FileNotFoundError):
        return INPUT
    return ENVIRONMENT
