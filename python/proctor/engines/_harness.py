"""What the adapters of other harnesses' model classes share: their arguments, signs of life, and taking them down."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from proctor.engines._vllm_engine import shut_down, wait_for_children
from proctor.guest import BadRequest, Engine, Module, Refused
from proctor.guest.errors import message_of
from proctor.guest.requests import Generate

BEAT_S = 1.0
OPTIONS = ("model", "model_args", "batch_size")
OF_REQUESTS = (AssertionError, IndexError, KeyError, TypeError, ValueError)


def check_options(module: Module) -> None:
    where = f"module {module.name}: options"
    if wrong := sorted(set(module.options) - set(OPTIONS)):
        raise Refused(f"{where}: {wrong[0]} is not known; expected {', '.join(OPTIONS)}")
    if not isinstance(module.options.get("model"), str):
        raise Refused(f"{where}: model: expected the name of a model class")
    if not isinstance(module.options.get("model_args", ""), (str, dict)):
        raise Refused(f"{where}: model_args: expected a=b,... or a map")


def arguments(module: Module, kind: Any, parse: Callable[[str], dict[str, Any]], own: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """Of the class `kind`. What model_args say goes first; `own` is what the module says and the class must take, `usual` what it may."""
    given = module.options.get("model_args", {})
    made = dict(parse(given)) if isinstance(given, str) else dict(given)
    if module.path:
        made.setdefault("pretrained", module.path)
    known = parameters(kind)
    for name, value in own.items():
        if value is not None and name not in made:
            if name not in known and not takes_any(kind):
                raise Refused(f"module {module.name}: {name}: {module.options['model']} has no such argument ({', '.join(sorted(known))})")
            made[name] = value
    return {**{name: value for name, value in usual.items() if name in known and value is not None}, **made}


def parameters(kind: Any) -> set[str]:
    """Of its constructor and, where that passes others on, of those that it derives from."""
    found: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one) and one is not object:
            own = inspect.signature(one.__init__).parameters.values()
            found |= {parameter.name for parameter in own if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)} - {"self"}
            if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in own):
                break
    return found


def takes_any(kind: Any) -> bool:
    return any(parameter.kind == parameter.VAR_KEYWORD for parameter in inspect.signature(kind.__init__).parameters.values())


class Beats:
    """Every harness shows its progress by tqdm, also where that is hidden: an update is a sign of life."""

    def __init__(self) -> None:
        os.environ.setdefault("TQDM_MININTERVAL", "30")  # what is shown goes to the worker's log
        import tqdm

        self.announce: Callable[[str], None] = lambda _: None
        self._bar, self._update, self._spoke = tqdm.tqdm, tqdm.tqdm.update, time.monotonic()
        update = self._update

        def announced(bar: Any, n: float | None = 1) -> Any:
            if time.monotonic() - self._spoke >= BEAT_S:
                self._spoke = time.monotonic()
                self.announce("progress")
            return update(bar, n)

        self._bar.update = announced

    def end(self) -> None:
        self._bar.update = self._update


def seed(number: int) -> None:
    """Of the generators that a model class may draw from."""
    import random

    random.seed(number)
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    if numpy:
        numpy.random.seed(number & 0xFFFFFFFF)
    if torch:
        torch.manual_seed(number)


def kwargs_of(ask: Generate, most: str) -> dict[str, Any]:
    """What model classes understand. The rest fails by name, since they drop silently what they do not know. `most`: their word for max_gen_toks."""
    asked = ("logprobs", "reasoning", "min_tokens", "ignore_eos", "stop_token_ids", "logit_bias", "presence_penalty", "frequency_penalty")
    for name in asked:
        if getattr(ask, name):
            raise BadRequest(f"{name}: this harness's model classes have no such parameter")
    made: dict[str, Any] = {most: ask.max_gen_toks, "until": [stop for stop in ask.until if stop]}
    if ask.repetition_penalty is not None:
        made["repetition_penalty"] = ask.repetition_penalty
    if ask.draw is None:
        return {**made, "do_sample": False, "temperature": 0.0}
    made.update(do_sample=True, temperature=ask.draw.temperature, top_p=ask.draw.top_p)
    made.update({name: value for name, value in (("top_k", ask.draw.top_k), ("min_p", ask.draw.min_p)) if value > 0})
    return made


def together(call: Callable[[list[Any]], Any], asked: list[Any]) -> list[Any]:
    """Answers of one call. Where that fails over what may be one request's fault each is asked alone, so that it fails alone."""
    try:
        return list(call(asked)) if asked else []
    except OF_REQUESTS as error:
        traceback.print_exc()
        if len(asked) == 1:
            return [BadRequest(message_of(error))]
    return [answer for one in asked for answer in together(call, [one])]


def cut(text: str, stops: list[str]) -> str:
    for stop in filter(None, stops):
        text = text.split(stop)[0]
    return text


def take_down(engine: Engine, model: str) -> None:
    """`model`: the attribute that holds the harness's object."""
    with engine.step("shutdown"):
        shut_down(getattr(getattr(engine, model, None), "model", None))
    with engine.step("wait_children"):
        wait_for_children()
    with engine.step("drop"):
        setattr(engine, model, None)
        gc.collect()
    with engine.step("empty_cache"):
        if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
