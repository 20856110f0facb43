"""How a Python process of proctor's is asked: a JSON object a line in, one out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from proctor.refused import Refused, told

Json = dict[str, Any]


def serve(answer: Callable[[Json], Json], explain: Callable[[Exception], Json | None]) -> None:
    """Until nobody asks any more. What a request is to blame for, and what `explain` knows, is told as that; any other error in Python's words."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Refused as error:
            reply = {"error": str(error)}
        except Exception as error:
            reply = explain(error) or {"error": told(error)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
