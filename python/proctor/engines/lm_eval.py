"""Any model class of lm-eval, by its name there: hf, sglang, gguf ... (docs/engines.md). proctor.lm_eval is the other way round."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from proctor.engines._harness import Beats, arguments, check_options, cut, kwargs_of, seed, take_down, together
from proctor.guest import BadRequest, Engine, Module, Refused, Request, Unit, serve
from proctor.guest.requests import Generate

# Of model classes: the packages whose versions decide their numbers, and how they are told the devices that a model is spread over.
PACKAGES = {"sglang": "sglang", "vllm": "vllm", "mamba_ssm": "mamba_ssm", "openvino": "optimum-intel", "neuronx": "optimum-neuron"}
PARALLEL: dict[str, Callable[[int], dict[str, Any]]] = {
    "sglang": lambda devices: {"tp_size": devices}, "vllm": lambda devices: {"tensor_parallel_size": devices}, "hf": lambda _: {"parallelize": True},
}


class LmEval(Engine):
    name = "lm_eval"
    kinds = ["generator"]
    answers = ["loglikelihood", "loglikelihood_rolling", "generate_until"]
    promises = []  # what they are depends on the class
    packages = ["lm_eval", "torch", "transformers"]
    sources = ["_harness.py", "_vllm_engine.py"]
    unit_requests = None
    same_ask = False
    lm: Any = None
    beats: Any = None

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        check_options(module)
        name = module.options["model"]
        if module.tensor_parallel > 1 and name not in PARALLEL:
            raise Refused(f"module {module.name}: tensor_parallel: not known how {name} is told; say it in model_args")
        with contextlib.suppress(KeyError, importlib.metadata.PackageNotFoundError):
            facts["engine"]["versions"][PACKAGES[name]] = importlib.metadata.version(PACKAGES[name])

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        announce("import lm_eval")
        from lm_eval.api.registry import get_model
        from lm_eval.utils import simple_parse_args_string

        name = module.options["model"]
        kind = get_model(name)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(self.threads)
        own = {"dtype": None if module.dtype == "auto" else module.dtype, "max_length": module.max_length, "add_bos_token": module.add_bos_token}
        if module.tensor_parallel > 1:
            own |= PARALLEL[name](module.tensor_parallel)
        made = arguments(module, kind, simple_parse_args_string, own, {})
        announce("model")
        self.beats = Beats()
        self.beats.announce = announce
        batch = None if "batch_size" in made else module.option("batch_size", 1)
        self.lm = kind.create_from_arg_obj(made, {"batch_size": batch, "device": None if "device" in made else self.device})
        if not hasattr(self.lm, "tok_encode"):
            print(f"lm_eval: {name} has no tok_encode: what counts as tokens are words", file=sys.stderr)
            self.claim("counts_words", 1)

    def close(self) -> None:
        if self.beats is not None:
            self.beats.end()
        self.beats = None
        take_down(self, "lm")

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        self.beats.announce = unit.announce
        ways = {"loglikelihood": self.score_continuations, "loglikelihood_rolling": self.score_texts, "generate_until": self.write}
        return ways[unit.type](requests)

    def score_continuations(self, requests: list[Request]) -> list[Any]:
        sizes = [self.pair_size(request) for request in requests]
        good = [request for request, size in zip(requests, sizes, strict=True) if isinstance(size, tuple)]
        values = iter(self.ask("loglikelihood", [(request.context, request.continuation) for request in good]))
        return [answered(self.loglikelihood, next(values), *size) if isinstance(size, tuple) else size for size in sizes]

    def score_texts(self, requests: list[Request]) -> list[Any]:
        values = self.ask("loglikelihood_rolling", [(request.text,) for request in requests])
        return [answered(self.rolling, value, self.count(request.text)) for value, request in zip(values, requests, strict=True)]

    def ask(self, kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        from lm_eval.api.instance import Instance

        asked = [Instance(request_type=kind, doc={}, arguments=one, idx=i) for i, one in enumerate(arguments)]
        return together(getattr(self.lm, kind), asked)

    # ---- texts

    def write(self, requests: list[Request]) -> list[Any]:
        """Those that take the likeliest tokens in one call; each drawn one alone, from its own seed, so that it depends on nothing else."""
        made: list[Any] = [None] * len(requests)
        greedy = []
        for i, request in enumerate(requests):
            assert isinstance(request.ask, Generate)
            try:
                kwargs = kwargs_of(request.ask, "max_gen_toks")
            except BadRequest as error:
                made[i] = error
                continue
            if request.ask.draw is None:
                greedy.append((i, (request.text, kwargs)))
            else:
                seed(request.ask.draw.seed & ((1 << 63) - 1))
                made[i] = self.written(request, self.ask("generate_until", [(request.text, kwargs)])[0])
        for (i, _), text in zip(greedy, self.ask("generate_until", [one for _, one in greedy]), strict=True):
            made[i] = self.written(requests[i], text)
        return made

    def written(self, request: Request, text: str | Exception) -> Any:
        ask = request.ask
        if isinstance(text, Exception):
            return text
        assert isinstance(ask, Generate)
        text = cut(text, ask.until)
        given, longest = self.count(request.text), self.max_length()
        lost = max(0, given + ask.max_gen_toks - longest) if longest else 0
        if lost and ask.fail_on_long:
            return BadRequest(f"{given} tokens and {ask.max_gen_toks} new ones do not fit into the model's {longest}")
        return self.text(text, self.count(text, add_special_tokens=False), lost)

    # ---- tokens, which lm-eval's classes do not tell

    def count(self, text: str, **how: Any) -> int:
        return len(self.lm.tok_encode(text, **how)) if hasattr(self.lm, "tok_encode") else len(text.split())

    def max_length(self) -> int:
        """0: not known."""
        try:
            return int(self.lm.max_length)
        except (AttributeError, NotImplementedError, TypeError, ValueError):
            return 0

    def pair_size(self, request: Request) -> tuple[int, int] | BadRequest:
        """Tokens scored, and lost at the left end."""
        if not hasattr(self.lm, "_encode_pair"):
            return self.count(request.continuation), 0
        if request.context:
            before, targets = map(len, self.lm._encode_pair(request.context, request.continuation))
        else:
            before, targets = 1, self.count(request.continuation, add_special_tokens=False)
        if targets == 0:
            return BadRequest("the continuation has no token of its own")
        lost = max(0, before + targets - self.max_length() - 1) if self.max_length() else 0
        if lost and request.ask.fail_on_long:  # type: ignore[union-attr]
            return BadRequest(f"{before + targets} tokens do not fit into the model's {self.max_length()}")
        return targets, lost


def answered(make: Callable[..., Any], value: Any, *more: int) -> Any:
    if isinstance(value, Exception):
        return value
    return make(*(value if isinstance(value, tuple) else (value,)), *more)


if __name__ == "__main__":
    serve(LmEval)
