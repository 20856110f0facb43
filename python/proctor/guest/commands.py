"""The commands of an engine's program: `serve` is what agents start; check and probe are for proctor's plan and for people."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from proctor.guest import processes
from proctor.guest.check import check, probe
from proctor.guest.engine import Engine
from proctor.guest.errors import EXIT_CODES, INTERNAL, fault_of, message_of
from proctor.guest.module import Module, module_from
from proctor.refused import Refused

HELP = """An engine for proctor; `proctor run` starts it.

  check FOLDER [--module JSON]   a module's facts as JSON, or why it is refused; FOLDER is "" for an engine without one
  check --each JSON...           the same of each module, a line each
  probe                          the engine's name, versions and promises as JSON
  serve --fd N --parent PID      what an agent starts; docs/engine-protocol.md
"""


def serve(engine: type[Engine], argv: Sequence[str] | None = None) -> None:
    """The whole of an engine's program: runs the command that `argv` (sys.argv[1:]) names, and ends the process by its outcome."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if not arguments or arguments[0] in ("help", "--help", "-h"):
            print(HELP, end="")
        elif arguments[0] == "serve":
            _serve(engine, _options(arguments[1:]))
        elif arguments[0] == "probe":
            print(json.dumps(probe(engine)))
        elif arguments[:2] == ["check", "--each"]:
            for text in arguments[2:]:
                print(json.dumps(_check_one(engine, text)), flush=True)
        elif arguments[0] == "check":
            print(json.dumps(_check(engine, arguments[1:])))
        else:
            raise Refused(f"command '{arguments[0]}' is not known; see --help")
    except Exception as error:
        sys.exit(_told(error)[1])
    sys.exit(0)


def _check(engine: type[Engine], arguments: list[str]) -> dict[str, Any]:
    if len(arguments) not in (1, 3) or arguments[1:2] not in ([], ["--module"]):
        raise Refused("check: expected FOLDER [--module JSON]")
    folder = arguments[0]
    module = _module(arguments[2]) if len(arguments) == 3 else Module("model", kind=engine.kinds[0])
    module.path = folder
    return check(engine, module)


def _check_one(engine: type[Engine], text: str) -> dict[str, Any]:
    """{"facts": ...}, or {"status": the exit code of a check of it alone, "error": text}."""
    try:
        return {"facts": check(engine, _module(text))}
    except Exception as error:
        message, status = _told(error)
        return {"status": status, "error": message}


def _module(text: str) -> Module:
    try:
        return module_from(json.loads(text))
    except ValueError as error:
        raise Refused(f"--module: {error}") from error


def _told(error: Exception) -> tuple[str, int]:
    """The message, which goes to stderr too, and the exit code."""
    expected = isinstance(error, (Refused, OSError, ImportError))
    if not expected:
        traceback.print_exc()
    message = message_of(error)
    print(message, file=sys.stderr, flush=True)
    return message, EXIT_CODES[fault_of(error) if expected else INTERNAL]


def _options(arguments: list[str]) -> dict[str, str]:
    known = ("--fd", "--device", "--index", "--threads", "--memory-limit", "--parent")
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or any(name not in known for name in options):
        raise Refused(f"serve: expected pairs of {', '.join(known)} and a value")
    return options


def _device(given: str) -> str:
    if given != "auto":
        return given
    return "cuda" if os.path.exists("/dev/nvidiactl") and os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1") else "cpu"


def _serve(engine: type[Engine], options: dict[str, str]) -> None:
    """--index is not used: the devices are those of CUDA_VISIBLE_DEVICES. --memory-limit is not enforced: the agent measures from outside."""
    processes.become_guest(int(options.get("--parent", os.getppid())))
    os.dup2(2, 1)  # what a library prints is for the log
    os.environ["OMP_NUM_THREADS"] = options.get("--threads", "1")
    from proctor.guest.server import Server  # what needs msgpack, which check reports by name
    from proctor.guest.wire import Connection

    server = Server(engine, Connection(int(options.get("--fd", "3"))), _device(options.get("--device", "auto")), int(options.get("--threads", "1")))
    try:
        server.serve()
    except BaseException:
        traceback.print_exc()
        processes.leave(1)
    processes.leave(0)
