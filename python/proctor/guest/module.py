"""A module as a suite describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proctor.refused import Refused


@dataclass
class Module:
    name: str
    kind: str = "generator"
    path: str = ""  # of its folder; "" where it has none
    dtype: str = "auto"  # auto, float32, bfloat16 or float16
    tensor_parallel: int = 1  # devices that the engine spreads it over; CUDA_VISIBLE_DEVICES names them
    max_batch_tokens: int | None = None
    max_length: int | None = None  # tokens; None: the model's own
    add_bos_token: bool | None = None
    options: dict[str, Any] = field(default_factory=dict)  # what the engine alone understands
    image: dict[str, Any] = field(default_factory=dict)  # min_pixels, max_pixels, processor, upright
    given: dict[str, Any] = field(default_factory=dict, repr=False)  # the whole JSON object, with keys that are not listed here

    def option(self, name: str, default: Any = None) -> Any:
        return self.options.get(name, default)


KEYS = ("kind", "path", "dtype", "tensor_parallel", "max_batch_tokens", "max_length", "add_bos_token", "options", "image")


def module_from(given: Any) -> Module:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise Refused('--module: expected a JSON object, for example {"name": "m", "kind": "generator", "path": "FOLDER"}')
    return Module(name=given["name"], given=given, **{key: given[key] for key in KEYS if given.get(key) is not None})
