"""What an AutoRAG project needs next: proctor asks, line by line.

    python -m proctor.autorag --parent PID

{"start": {"config", "qa", "corpus", "project", ...}} and {"ran": EXIT CODE} are answered by the next suite to run, {"suite": FILE, "out": FOLDER}, or
by {"done": the summary}. Each answer may have "notes". An {"error": why} ends the project until it is started again.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

Json = dict[str, Any]
PR_SET_PDEATHSIG = 1
PACKAGES = {"yaml": "pyyaml", "rouge_score": "rouge-score"}


class Planner:
    def __init__(self) -> None:
        self.project: Any = None
        self.steps: Any = None
        self.told = 0
        self.held: Any = None

    def answer(self, request: Json) -> Json:
        if "hello" in request:
            return {"python": sys.version.split()[0]}
        return self.start(request["start"]) if "start" in request else self.next()

    def start(self, given: Json) -> Json:
        from proctor.autorag.project import Options, Project

        self.project = Project(Options(**{**given, "models": tuple(given.get("models", ()))}))
        self.trial = self.project.prepare()
        self.held = self.project.held()
        self.held.__enter__()
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


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[2]):
        sys.exit("autorag: who started it has gone")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)  # what a library prints is no answer
    planner = Planner()
    from proctor.refused import Refused, told

    for line in sys.stdin:
        try:
            answer = planner.answer(json.loads(line))
        except Refused as error:
            answer = {"error": str(error)}
        except ImportError as error:
            package = str(error.name or error).partition(".")[0]
            answer = {"error": str(error), "missing": PACKAGES.get(package, package)}
        except OSError as error:
            answer = {"error": f"{error.filename or 'the project'}: {error.strerror}"}
        except MemoryError:
            answer = {"error": "there is no memory left for the project's tables"}
        except Exception as error:
            answer = {"error": told(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
