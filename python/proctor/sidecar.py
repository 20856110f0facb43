"""The one Python process of a run, which proctor starts and asks line by line for what Python has: chat templates, Parquet,
the user's own metrics.

    python -m proctor.sidecar --parent PID

A JSON object a line in, one out. {"hello": 1} says which Python this is; whatever else is asked goes to a service by the request's first key.
What is wrong with a request is {"error": why}, what this Python lacks {"error": why, "missing": package}; nothing else ends the process. It
has no network and at most 2 GiB.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import resource
import signal
import sys
from typing import Any

from proctor.line_service import serve

Json = dict[str, Any]
MOST_BYTES = 2 << 30
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
# Key of a request -> the module that answers it, and the package that it needs.
SERVICES = {
    "open": ("proctor.chat_templates", "jinja2>=3.1"),
    "render": ("proctor.chat_templates", "jinja2>=3.1"),
    "table": ("proctor.tables", "pyarrow"),
    "rows": ("proctor.tables", "pyarrow"),
    "metric": ("proctor.code_metrics", ""),
}


class Sidecar:
    """The services, each made when it is first asked."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {}
        self.subject = "the request"

    def answer(self, request: Json) -> Json:
        key = next(iter(request))
        if key == "hello":
            return {"python": sys.version.split()[0]}
        module, package = SERVICES[key]
        if module not in self.services:
            try:
                self.services[module] = importlib.import_module(module).Service()
            except ImportError as error:
                return {"error": str(error), "missing": package}
        service = self.services[module]
        try:
            return service.answer(request)
        finally:
            self.subject = service.subject


def confine(parent: int) -> None:
    """No network, bounded memory, no life without the parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    # root's, else one of a user namespace; without either the sandbox is what there is
    alone = libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
    os.environ["PROCTOR_NETWORK"] = "none" if alone else "open"  # for metrics that run what a model wrote
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # last: a change of credentials would undo it
    if os.getppid() != parent:
        sys.exit("sidecar: who started it has gone")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    confine(int(sys.argv[2]))
    sidecar = Sidecar()

    def explain(error: Exception) -> Json | None:
        if isinstance(error, MemoryError):
            return {"error": f"{sidecar.subject}: needs more than {MOST_BYTES >> 30} GiB"}
        return {"error": f"{sidecar.subject}: calls itself without end"} if isinstance(error, RecursionError) else None

    serve(sidecar.answer, explain)


if __name__ == "__main__":
    main()
