"""The model `proctor` of lmms-eval: hands over texts and pictures, gets answers."""
from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmms_eval import evaluator
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from proctor.lm_eval.run import BridgeError, Row, Runner, Settings, refuse_many_copies
from proctor.lmms_eval.images import ImageFolder, is_picture
from proctor.lmms_eval.prompts import Message, Prompts, image, text
from proctor.lmms_eval.refusals import refuse
from proctor.lmms_eval.rows import generation_row

log = logging.getLogger("lmms_eval.proctor")
IMAGES = "lmms-eval-images"


@dataclass(frozen=True)
class ImageSettings(Settings):
    """What --model_args may say beyond proctor.lm_eval's: all of it moves scores."""

    chat_template: bool | str = True
    system_prompt: str = ""
    max_new_tokens: int = 1024
    min_pixels: int | None = None
    max_pixels: int | None = None
    processor: str | None = None
    upright: bool | None = None
    allow_judge: bool = False

    def _check(self) -> None:
        super()._check()
        for name in ("max_new_tokens", "min_pixels", "max_pixels"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise BridgeError(f"model_args: {name}: expected a whole number above 0, found {value!r}")
        if self.processor not in (None, "auto", "slow", "fast"):
            raise BridgeError(f"model_args: processor: expected auto, slow or fast, found {self.processor!r}")
        for name in ("upright", "allow_judge"):
            if getattr(self, name) not in (None, True, False):
                raise BridgeError(f"model_args: {name}: expected true or false, found {getattr(self, name)!r}")

    def image(self) -> Row:
        """The module's `image`, without what it leaves to proctor."""
        return {key: value for key in ("min_pixels", "max_pixels", "processor", "upright") if (value := getattr(self, key)) is not None}

    def module(self, folder: Path) -> Row:
        return {**super().module(folder), **({"image": self.image()} if self.image() else {})}

    def system(self) -> str:
        """lmms-eval's rule: the name of a file means what it holds."""
        named = self.system_prompt and os.path.isfile(self.system_prompt)
        return Path(self.system_prompt).read_text(encoding="utf-8").strip() if named else self.system_prompt


class ImageRunner(Runner):
    harness = "lmms-eval"


class ProctorModel(lmms):
    """One process for lmms-eval; proctor starts its own ranks. Messages and requests differ between lmms-eval's two kinds of models: see below."""

    def __init__(self, batch_size: Any = None, max_batch_size: Any = None, **args: Any):
        super().__init__()
        refuse_many_copies(os.environ, "proctor-lmms-eval")
        if batch_size not in (None, 1, "1", "auto") or max_batch_size is not None:
            log.warning("proctor batches by tokens: batch_size and max_batch_size have no effect (max_batch_tokens has)")
        self.settings = ImageSettings.from_args(args)
        self.runner = ImageRunner(self.settings)
        self.images = ImageFolder(Path(self.settings.out).resolve() / IMAGES)
        vision = self.runner.facts.get("vision") or {}
        self.prompts = Prompts(self.runner.folder, vision, self.settings.chat_template, self.settings.system())
        watch_tasks()

    def messages(self, request: Instance) -> list[Message]:
        raise NotImplementedError

    def document(self, task: str, split: str, number: int) -> Any:
        return self.task_dict[task][split][number]

    def prompt(self, request: Instance) -> Row:
        """The keys of a row that say what is asked; errors name the document."""
        *_, number, task, split = request.args
        try:
            written, visuals = self.prompts.context(self.messages(request))
            # Beside the run's folder, so that rows and folders stay right where both are moved.
            names = [f"../{IMAGES}/{self.images.put(one)}" for one in visuals]
        except BridgeError as error:
            raise BridgeError(f"{task}, {split}, document {number}: {error}", error.code) from error
        return {"context": written, **({"images": names} if names else {})}

    def generation_kwargs(self, request: Instance) -> dict[str, Any]:
        raise NotImplementedError

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        config = self.runner.generation_config()
        rows = []
        for request in requests:
            prompt = self.prompt(request)
            rows.append({**generation_row(prompt.pop("context"), self.generation_kwargs(request), self.settings.max_new_tokens, config), **prompt})
        return [GenerationResult(text=answer["text"], token_counts=TokenCounts(output_tokens=answer.get("tokens")))
                for answer in self.runner.answers("generate_until", rows)]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Losses, for lmms-eval takes the lowest: minus the sum over a choice's tokens, so that its acc and acc_norm choose as lm-eval's do.
        Each (loss, is it greedy) is wrapped as a text is: 0.7.3 makes a string of a bare pair, which its scorers cannot read."""
        rows = [{"type": "loglikelihood", **self.prompt(request), "continuation": request.args[1]} for request in requests]
        return [GenerationResult(text=(-answer["loglikelihood"], answer["is_greedy"])) for answer in self.runner.answers("loglikelihood", rows)]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        raise BridgeError("generate_until_multi_round: not implemented")

    def in_results(self) -> dict[str, Any]:
        """What a reader of a results file needs to get the same numbers."""
        return {"settings": asdict(self.settings), **{key: self.runner.facts.get(key) for key in ("model_hash", "vision")}}


class Chat(ProctorModel):
    """What lmms-eval takes by default: a task says its messages."""

    is_simple = False

    def messages(self, request: Instance) -> list[Message]:
        _, doc_to_messages, _, number, task, split = request.args
        return doc_to_messages(self.document(task, split, number))

    def generation_kwargs(self, request: Instance) -> dict[str, Any]:
        return request.args[2]


class Simple(ProctorModel):
    """With --force_simple: a text and its visuals, which become one message, pictures first or where the text marks them."""

    is_simple = True

    def messages(self, request: Instance) -> list[Message]:
        context, _, doc_to_visual, number, task, split = request.args
        visuals = (doc_to_visual(self.document(task, split, number)) if doc_to_visual else None) or []
        if wrong := next((one for one in visuals if not is_picture(one)), None):
            raise BridgeError(f"{type(wrong).__name__} {str(wrong)[:80]}: proctor reads pictures, not video or audio; choose a task without it")
        return [{"role": "user", "content": [*map(image, visuals), text(context)]}]

    def generation_kwargs(self, request: Instance) -> dict[str, Any]:
        return request.args[1]


def watch_tasks() -> None:
    """lmms-eval shows its models requests, not tasks, and asks for one kind of request after the other; so a task that cannot be run would
    end an evaluation in its middle. Its function `evaluate`, which has the tasks, is wrapped once."""
    if hasattr(evaluator.evaluate, "of_proctor"):
        return
    inner: Callable[..., Any] = evaluator.evaluate

    @functools.wraps(inner)
    def evaluate(lm: Any, task_dict: dict[Any, Any], *args: Any, **more: Any) -> Any:
        if not isinstance(lm, ProctorModel):
            return inner(lm, task_dict, *args, **more)
        refuse(task_dict, lm.is_simple, lm.settings.allow_judge)
        results = inner(lm, task_dict, *args, **more)
        return results if results is None else {**results, "proctor": lm.in_results()}

    evaluate.of_proctor = True
    evaluator.evaluate = evaluate
