"""Any chat model of lmms-eval, by its name there: llava_hf, qwen2_5_vl ... (docs/engines.md). proctor.lmms_eval is the other way round."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from proctor.engines._harness import Beats, arguments, check_options, cut, kwargs_of, seed, take_down, together
from proctor.guest import BadFile, BadRequest, Engine, Image, Module, Refused, Request, Unit, serve
from proctor.guest.requests import Generate

TASK, SPLIT = "proctor", "unit"  # of the one task that the class sees


class LmmsEval(Engine):
    name = "lmms_eval"
    kinds = ["generator"]
    answers = ["generate_until"]
    promises = []  # what they are depends on the class
    packages = ["lmms_eval", "torch", "transformers", "pillow"]
    sources = ["_harness.py", "_vllm_engine.py"]
    unit_requests = None
    same_ask = False
    lm: Any = None
    beats: Any = None

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        check_options(module)
        if module.image.get("processor", "auto") != "auto":
            raise Refused(f"module {module.name}: image: processor: the model class chooses it")
        facts["notes"].append("prompts with a chat template of the suite's would have two: the model class applies its own")

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        if self.device == "cpu":
            os.environ.setdefault("ACCELERATE_USE_CPU", "true")
        announce("import lmms_eval")
        from lmms_eval.models import get_model
        from lmms_eval.utils import simple_parse_args_string

        name = module.options["model"]
        kind = get_model(name)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(self.threads)
        if kind.is_simple:
            raise Refused(f"module {module.name}: options: model: {name} has no chat model in lmms-eval; the list is that of `lmms-eval models`")
        own = {"dtype": None if module.dtype == "auto" else module.dtype, "max_length": module.max_length}
        own |= {bound: module.image.get(bound) for bound in ("min_pixels", "max_pixels")}
        spread = "auto" if module.tensor_parallel > 1 else self.device
        placed = {"device": self.device, "device_map": spread, "batch_size": module.option("batch_size", 1)}
        made = arguments(module, kind, simple_parse_args_string, own, placed)
        self.image = module.image
        announce("model")
        self.beats = Beats()
        self.beats.announce = announce
        self.lm = kind(**made)

    def close(self) -> None:
        if self.beats is not None:
            self.beats.end()
        self.beats = None
        take_down(self, "lm")

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        """Those that take the likeliest tokens in one call; each drawn one alone, from its own seed, so that it depends on nothing else."""
        self.beats.announce = unit.announce
        if set(unit.image) & {"min_pixels", "max_pixels", "processor"}:
            raise BadRequest("image: min_pixels, max_pixels and processor are the module's in this engine, not a task's")
        upright = bool({**self.image, **unit.image}.get("upright"))
        made: list[Any] = [None] * len(requests)
        greedy = []
        for i, request in enumerate(requests):
            assert isinstance(request.ask, Generate)
            try:
                asked = (message_of(request, upright), kwargs_of(request.ask, "max_new_tokens"))
            except BadRequest as error:
                made[i] = error
                continue
            if request.ask.draw is None:
                greedy.append((i, asked))
            else:
                seed(request.ask.draw.seed & ((1 << 63) - 1))
                made[i] = self.written(request, together(self.ask, [asked])[0])
        for (i, _), output in zip(greedy, together(self.ask, [asked for _, asked in greedy]), strict=True):
            made[i] = self.written(requests[i], output)
        unit.count(images=sum(len(request.images) for request in requests))
        return made

    def ask(self, asked: list[tuple[Any, dict[str, Any]]]) -> list[Any]:
        from lmms_eval.api.instance import Instance

        self.lm.task_dict = {TASK: {SPLIT: [messages for messages, _ in asked]}}
        instances = [
            Instance(
                request_type="generate_until", arguments=("", lambda messages: messages, kwargs, i, TASK, SPLIT), idx=0,
                metadata={"task": TASK, "doc_id": i, "repeats": 1},
            )
            for i, (_, kwargs) in enumerate(asked)
        ]
        return list(self.lm.generate_until(instances))

    def written(self, request: Request, output: Any) -> Any:
        """Model classes follow no stops, and some answer "" where generating failed: that is told by what they do not count."""
        ask = request.ask
        if isinstance(output, Exception):
            return output
        assert isinstance(ask, Generate)
        text, counts = getattr(output, "text", output), getattr(output, "token_counts", None)
        tokens = getattr(counts, "output_tokens", None)
        if tokens is None and not text:
            return BadRequest("the model class gave an empty text and no number of tokens, as where its generation failed; see the worker's log")
        if tokens is None:
            tokens = self.count(text)
        return self.text(cut(text, ask.until), tokens)

    def count(self, text: str) -> int:
        tokenizer: Any = getattr(self.lm, "tokenizer", None)
        return len(tokenizer.encode(text, add_special_tokens=False)) if hasattr(tokenizer, "encode") else len(text.split())


def message_of(request: Request, upright: bool) -> list[dict[str, Any]]:
    """One message of the user's, with pictures where the request has them."""
    content: list[dict[str, Any]] = []
    for part in request.parts:
        content.append({"type": "image", "url": picture(part, upright)} if isinstance(part, Image) else {"type": "text", "text": part})
    return [{"role": "user", "content": [one for one in content if one.get("text") != ""]}]


def picture(image: Image, upright: bool) -> Any:
    import PIL.Image
    import PIL.ImageOps

    try:
        with PIL.Image.open(image.path) as opened:
            return (PIL.ImageOps.exif_transpose(opened) if upright else opened).convert("RGB")
    except FileNotFoundError as error:
        raise BadFile(f"{image.path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise BadRequest(f"image {image.path}: {error}") from error


if __name__ == "__main__":
    serve(LmmsEval)
