"""The model `proctor` of lm-eval: hands over texts, gets answers."""
from __future__ import annotations

import functools
import logging
import os
from typing import Any, Callable

import lm_eval.models  # noqa: F401  lm-eval registers its own models only while there is none
from jinja2.exceptions import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import simple_parse_args_string

from proctor.lm_eval.run import Answer, Row, Runner, Settings, generation_row, refuse_many_copies

log = logging.getLogger("lm_eval.proctor")
DEVICES = {"cuda:0": "auto"}  # lm-eval's default, so it cannot be told from no wish; hf then takes the CPU if it must


@register_model("proctor")
class ProctorLM(LM):
    """One process for lm-eval; proctor starts its own ranks."""

    def __init__(self, batch_size: Any = None, max_batch_size: Any = None, trust_remote_code: Any = None, **args: Any):
        super().__init__()
        refuse_many_copies(os.environ)
        if batch_size not in (None, 1, "1", "auto") or max_batch_size is not None:
            log.warning("proctor batches by tokens: batch_size and max_batch_size have no effect (max_batch_tokens has)")
        if "device" in args:
            args["device"] = DEVICES.get(args["device"], args["device"])
        self.runner = Runner(Settings.from_args(args))

    @classmethod
    def create_from_arg_obj(cls, arg_dict: dict, additional_config: dict | None = None) -> ProctorLM:
        """A device among the model's arguments counts more than lm-eval's default, which is always there."""
        given = {k: v for k, v in (additional_config or {}).items() if v is not None}
        return cls(**{**given, **arg_dict})

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict | None = None) -> ProctorLM:
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        rows = [{"type": "loglikelihood", "context": r.args[0], "continuation": r.args[1]} for r in requests]
        return self._answers("loglikelihood", requests, rows, lambda a: (a["loglikelihood"], a["is_greedy"]))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        rows = [{"type": "loglikelihood_rolling", "text": r.args[0]} for r in requests]
        return self._answers("loglikelihood_rolling", requests, rows, lambda a: a["loglikelihood"])

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        config = self.runner.generation_config()
        rows = [generation_row(r.args[0], normalize_gen_kwargs(r.args[1]), config) for r in requests]
        return self._answers("generate_until", requests, rows, lambda a: a["text"])

    def _answers(self, kind: str, requests: list[Instance], rows: list[Row], result: Callable[[Answer], Any]) -> list:
        results = [result(answer) for answer in self.runner.answers(kind, rows)]
        for request, answer in zip(requests, results):
            self.cache_hook.add_partial(kind, request.args, answer)
        return results

    @property
    def max_length(self) -> int:
        return self.runner.settings.max_length or self.runner.facts["max_length"]

    @property
    def eot_token_id(self) -> int | None:
        return self.tokenizer.eos_token_id

    @functools.cached_property
    def tokenizer(self) -> Any:
        """Loaded when asked for: proctor needs no transformers."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(self.runner.folder))

    @property
    def tokenizer_name(self) -> str:
        return self.tokenizer.name_or_path.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """lm-eval's own choice among a tokenizer's templates."""
        return TemplateLM.chat_template(self, chat_template) if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """As hf: a template that knows no system role is tried again without it."""
        render = functools.partial(self.tokenizer.apply_chat_template, tokenize=False,
                                   add_generation_prompt=add_generation_prompt,
                                   continue_final_message=not add_generation_prompt)
        try:
            return render(chat_history)
        except TemplateError:
            log.warning("the chat template refuses this chat; trying without the system role")
            return render([message for message in chat_history if message["role"] != "system"])

    def get_model_info(self) -> dict[str, Any]:
        """hf's keys, and proctor's own hash of the model's files."""
        facts, dtype = self.runner.facts, self.runner.settings.dtype
        revision, sha = self.runner.revision()
        return {"model_num_parameters": facts["parameters"], "model_revision": revision, "model_sha": sha,
                "model_dtype": f"torch.{facts['checkpoint_dtype'] if dtype == 'auto' else dtype}",
                "model_hash": facts["model_hash"]}
