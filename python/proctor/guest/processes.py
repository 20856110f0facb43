"""This process among others: its parent, its signals, and the processes that its engine started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass

CHILD_PATIENCE_S = 5.0  # for children to end by themselves after close()
KILL_PATIENCE_S = 1.0
PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    name: str
    zombie: bool


def become_guest(parent: int) -> None:
    """Leaves with the agent, is killed first when memory runs out, and hears of stopping over its socket only."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # then proctor's keeper ends what this process started
    if os.getppid() != parent:
        os._exit(0)
    for number in IGNORED:
        # A handler and not SIG_IGN, which exec would hand on: an engine's children would then ignore the SIGTERM that it ends them with.
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)
    os.register_at_fork(after_in_child=_restore_signals)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the agent spawns with these blocked
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")


def _restore_signals() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, tail = file.read().rsplit(")", 1)
    except OSError:
        return None
    state, parent, group = tail.split()[:3]
    return Process(pid, int(parent), int(group), head.split("(", 1)[1], state in "ZX")


def family() -> list[Process]:
    """Living processes that descend from this one, or are in the group that it leads."""
    everyone = [found for name in os.listdir("/proc") if name.isdigit() and (found := _read(int(name)))]
    mine = {os.getpid()}
    for _ in everyone:  # until no generation is added
        size = len(mine)
        mine.update(one.pid for one in everyone if one.parent in mine)
        if len(mine) == size:
            break
    led = os.getpgrp() == os.getpid()
    return [one for one in everyone if one.pid != os.getpid() and not one.zombie and (one.pid in mine or (led and one.group == os.getpid()))]


def wait_for_family(patience_s: float = CHILD_PATIENCE_S) -> list[Process]:
    """Those that are still alive when the patience ends."""
    until = time.monotonic() + patience_s
    _end_multiprocessing_helpers()
    while (left := family()) and time.monotonic() < until:
        time.sleep(0.02)
    _reap_zombies()
    return left


def kill_family(patience_s: float = KILL_PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while (left := family()) and time.monotonic() < until:
        for one in left:
            with contextlib.suppress(OSError):
                os.kill(one.pid, signal.SIGKILL)
        time.sleep(0.005)


def leave(status: int) -> None:
    """Ends this process and its engine's, without destructors: any of them may hang."""
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    try:
        kill_family()
    finally:
        os._exit(status)


def _end_multiprocessing_helpers() -> None:
    """The resource tracker would live as long as this process. It waits for all who hold its pipe, so it is ended only when nobody else is left."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    tracker = getattr(module, "_resource_tracker", None)
    pid = getattr(tracker, "_pid", None)
    if tracker is not None and pid is not None and hasattr(tracker, "_stop") and {one.pid for one in family()} == {pid}:
        with contextlib.suppress(Exception):
            tracker._stop()


def _reap_zombies() -> None:
    for name in os.listdir("/proc"):
        found = _read(int(name)) if name.isdigit() else None
        if found and found.zombie and found.parent == os.getpid():
            with contextlib.suppress(OSError):
                os.waitpid(found.pid, os.WNOHANG)
