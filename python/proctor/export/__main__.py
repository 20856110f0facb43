"""Writes a run in another program's form: proctor asks, line by line.

    python -m proctor.export --parent PID

{"export": {"directory", "format", "out"}} is answered by {"written": [file, ...]}.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from proctor.line_service import serve
from proctor.refused import Refused
from proctor.results import NoRunError, Run

Json = dict[str, Any]
PR_SET_PDEATHSIG = 1


def answer(request: Json) -> Json:
    if "hello" in request:
        return {"python": sys.version.split()[0]}
    from proctor.export import FORMATS

    wanted = request["export"]
    try:
        run = Run(wanted["directory"])
    except NoRunError as error:
        raise Refused(str(error)) from error
    if not run.modules():
        raise Refused(f"{run.directory} has no results yet: proctor show {run.directory} says how far it is")
    out = Path(wanted["out"] or run.directory / "export" / wanted["format"])
    if out.exists() and not out.is_dir():
        raise Refused(f"{out} is a file; a folder is written")
    return {"written": [str(path) for path in FORMATS[wanted["format"]](run, out)]}


def explain(error: Exception) -> Json | None:
    if isinstance(error, ImportError):
        return {"error": str(error), "missing": str(error.name or error).partition(".")[0]}
    if isinstance(error, OSError):
        return {"error": f"{error.filename or 'what is written'}: {error.strerror}"}
    if isinstance(error, (KeyError, TypeError, AttributeError, ValueError)):
        return {"error": f"a file of the run is not as proctor writes it ({type(error).__name__}: {error})"}
    return None


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[2]):
        sys.exit("export: who started it has gone")
    serve(answer, explain)


if __name__ == "__main__":
    main()
