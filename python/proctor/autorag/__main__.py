"""What an AutoRAG project needs next: proctor asks, line by line.

    python -m proctor.autorag --parent PID

{"start": {"config", "qa", "corpus", "project", ...}} and {"ran": EXIT CODE} are answered by the next suite to run, {"suite": FILE, "out": FOLDER}, or
by {"done": the summary}. Each answer may have "notes". An {"error": why} ends the project until it is started again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from proctor.line_service import serve

Json = dict[str, Any]
PR_SET_PDEATHSIG = 1
PACKAGES = {"yaml": "pyyaml", "rouge_score": "rouge-score"}


class Planner:
    def __init__(self) -> None:
        self.project: Any = None
        self.steps: Any = None
        self.told = 0

    def answer(self, request: Json) -> Json:
        if "hello" in request:
            return {"python": sys.version.split()[0]}
        return self.start(request["start"]) if "start" in request else self.next()

    def start(self, given: Json) -> Json:
        from proctor.autorag.project import Options, Project

        self.project = Project(Options(**{**given, "models": tuple(given.get("models", ()))}))
        self.trial = self.project.prepare()
        self.project.hold()
        if self.project.done:
            return self.with_notes({"done": self.project.summary()})
        self.project.begin(self.trial)
        self.steps = self.trial.run()
        return self.next()

    def next(self) -> Json:
        try:
            stage = next(self.steps)
        except StopIteration:
            return self.with_notes({"done": self.project.summary()})
        return self.with_notes({"suite": str(stage.suite), "out": str(stage.out)})

    def with_notes(self, answer: Json) -> Json:
        notes = self.trial.context.notes[self.told:]
        self.told = len(self.trial.context.notes)
        return {**answer, "notes": notes}


def explain(error: Exception) -> Json | None:
    if isinstance(error, ImportError):
        package = str(error.name or error).partition(".")[0]
        return {"error": str(error), "missing": PACKAGES.get(package, package)}
    if isinstance(error, OSError):
        return {"error": f"{error.filename or 'the project'}: {error.strerror}"}
    return {"error": "there is no memory left for the project's tables"} if isinstance(error, MemoryError) else None


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[2]):
        sys.exit("autorag: who started it has gone")
    serve(Planner().answer, explain)


if __name__ == "__main__":
    main()
