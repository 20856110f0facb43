"""Metrics that are the user's Python, for the sidecar: {"metric": FILE, "function": NAME, "items": [{"prediction", "references", "doc"}, ...]}
gives {"values": [a number, or {"error": why}, ...]}. A file is read once."""

from __future__ import annotations

import importlib.util
import math
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from proctor.refused import Refused, told

Json = dict[str, Any]


def loaded(path: Path) -> ModuleType:
    name = f"proctor_metric_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refused(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what it imports from beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is code: whatever it does is its own fault
        raise Refused(f"cannot be read: {raised(error, str(path))}") from error
    return module


def raised(error: BaseException, path: str) -> str:
    """With the last line of the user's file on the way to where it happened."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return told(error) + (f" (line {lines[-1]})" if lines else "")


def value_of(function: Callable[..., Any], path: str, item: Json) -> float | Json:
    try:
        value = function(item["prediction"], item["references"], item["doc"])
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        return {"error": raised(error, path)}
    if isinstance(value, bool) or (isinstance(value, (int, float)) and math.isfinite(value)):
        return float(value)
    return {"error": f"gave {value!r:.80}, expected a number, or true or false"}


class Service:
    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self.subject = "the metric"

    def answer(self, request: Json) -> Json:
        path, name = request["metric"], request["function"]
        self.subject = f"{path}:{name}"
        if path not in self.modules:
            self.modules[path] = loaded(Path(path))
        function = getattr(self.modules[path], name, None)
        if not callable(function):
            there = sorted(key for key, value in vars(self.modules[path]).items() if callable(value) and not key.startswith("_"))
            raise Refused(f"has no function '{name}'; there are {', '.join(there) or 'none'}")
        return {"values": [value_of(function, path, item) for item in request["items"]]}
