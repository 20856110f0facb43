"""vLLM's offline engine: a shard is one call, and close() leaves nothing behind (docs/engines.md)."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proctor.engines import _vllm_engine as version
from proctor.engines._adapter import count_adapter
from proctor.engines._codec import Codec, rolling_windows
from proctor.engines._vllm_texts import Text, begun, sampling
from proctor.guest import BadRequest, Engine, EngineBroken, Module, Refused, Request, Unit, serve
from proctor.guest.folder import read_json

OF_MODULE = {"model": "path", "dtype": "dtype", "tensor_parallel_size": "tensor_parallel", "runner": "kind", "task": "kind"}
MOST_LABELS = 128  # that logprob_token_ids takes


@dataclass(frozen=True)
class Scored:
    ids: list[int]  # context and targets
    targets: int  # tokens at the end whose log-probabilities are wanted
    truncated: int = 0


class Vllm(Engine):
    name = "vllm"
    kinds = list(version.RUNNERS)
    answers = ["loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair"]
    # Without batch invariance a number depends on what the scheduler happened to batch.
    promises = ["logprobs", *(["pure", "batch_invariant"] if os.environ.get("VLLM_BATCH_INVARIANT") == "1" else [])]
    packages = ["torch", version.distribution(), "transformers"]
    environment = ["VLLM_BATCH_INVARIANT", "VLLM_ATTENTION_BACKEND"]
    sources = ["_adapter.py", "_codec.py", "_reasoning.py", "_vllm_engine.py", "_vllm_texts.py"]
    unit_requests = None
    same_ask = False
    llm: Any = None
    lora: Any = None
    count: Any = None
    shared: set[str] = set()  # its files in /dev/shm after load()

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        for option, key in OF_MODULE.items():
            if option in module.options:
                raise Refused(f"module {module.name}: options: {option} is not an option here; the module's `{key}` says it")
        if module.max_length and "max_model_len" in module.options:
            raise Refused(f"module {module.name}: max_length and options: max_model_len say the same; give one of them")
        count_adapter(module, facts)

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        version.prepare(self.device, self.threads)
        announce("import vllm")
        import vllm

        self.announce, self.params = announce, vllm.SamplingParams
        announce("engine")
        with version.named_errors():
            self.llm = vllm.LLM(**version.arguments(module))
        version.watch_core(self.llm.llm_engine)
        version.show_steps(self.llm.llm_engine, lambda: self.announce("engine steps"))
        self.max_length = self.llm.llm_engine.model_config.max_model_len
        self.tokenizer, self.prompts = self.llm.get_tokenizer(), stored_prompts(module.path)
        if adapter := module.option("adapter"):
            from vllm.lora.request import LoRARequest

            self.lora = LoRARequest("adapter", 1, adapter)
        if module.kind == "generator":
            self.codec = Codec(self.tokenizer, module.add_bos_token)
            self.penalty = getattr(self.llm.get_default_sampling_params(), "repetition_penalty", 1.0)
            announce("first request")  # compiles what loading left
            with version.named_errors():
                self.generate([[self.codec.prefix_id] * 2], [self.params(temperature=0, max_tokens=1, prompt_logprobs=0, logprobs=0)])
        self.shared = version.shared_memory()

    def close(self) -> None:
        shared = self.shared | version.shared_memory()
        with self.step("shutdown"):
            version.shut_down(self.llm)
        with self.step("wait_children"):
            alive = version.wait_for_children()
        with self.step("shared_memory"):
            version.sweep(set() if alive else shared)
        for name in ("destroy_model_parallel", "destroy_distributed_environment"):
            with self.step(name):
                getattr(sys.modules.get("vllm.distributed.parallel_state"), name, bool)()
        with self.step("drop"):
            for name in [name for name in vars(self) if name not in ("device", "threads", "_visit")]:
                delattr(self, name)
        with self.step("gc"):
            gc.collect()
        for name in ("synchronize", "empty_cache"):
            with self.step(name):
                if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
                    getattr(torch.cuda, name)()

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        self.announce, self.count = unit.announce, unit.count
        ways: dict[str, Callable[[list[Request]], list[Any]]] = {
            "loglikelihood": self.score_continuations, "loglikelihood_rolling": self.score_texts, "generate_until": self.write,
            "embed": self.embed, "score_pair": self.score_pairs,
        }
        with version.named_errors():
            return ways[unit.type](requests)

    def generate(self, prompts: list[list[int]], params: list[Any]) -> list[Any]:
        if not prompts:
            return []
        with version.bad_requests(self.llm.llm_engine):
            outputs = self.llm.generate([{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False, lora_request=self.lora)
        if len(outputs) != len(prompts):
            raise EngineBroken(f"vLLM gave {len(outputs)} outputs for {len(prompts)} prompts")
        if self.count:
            self.count(sum(map(len, prompts)) + sum(len(one.outputs[0].token_ids) for one in outputs))
        return list(outputs)

    # ---- log-likelihoods

    def score_continuations(self, requests: list[Request]) -> list[Any]:
        rows = [self.scored(request) for request in requests]
        scores = iter(self.scores([row for row in rows if isinstance(row, Scored)]))
        return [self.loglikelihood(*next(scores), row.targets, row.truncated) if isinstance(row, Scored) else row for row in rows]

    def score_texts(self, requests: list[Request]) -> list[Any]:
        texts = [self.codec.encode(request.text) for request in requests]
        windows = [rolling_windows(ids, self.codec.prefix_id, self.max_length - 2) for ids in texts]
        scores = iter(self.scores([Scored(given + targets[-1:], len(targets)) for mine in windows for given, targets in mine]))
        return [self.rolling(sum(next(scores)[0] for _ in mine), len(ids)) for ids, mine in zip(texts, windows, strict=True)]

    def scored(self, request: Request) -> Scored | BadRequest:
        try:
            context, targets = self.codec.encode_pair(request.context, request.continuation)
        except BadRequest as error:
            return error
        ids = context + targets
        cut = max(0, len(ids) - (self.max_length - 1))  # vLLM keeps room for one token more
        if cut and (cut >= len(context) or request.ask.fail_on_long):  # type: ignore[union-attr]
            return BadRequest(f"{len(ids)} tokens do not fit into the {self.max_length - 1} that vLLM can score")
        return Scored(ids[cut:], len(targets), cut)

    def scores(self, rows: list[Scored]) -> list[tuple[float, bool]]:
        """Of each row the sum, and whether each target was the likeliest. Choices of one token share their context's prompt where vLLM takes ids."""
        shares = "logprob_token_ids" in inspect.signature(self.params).parameters
        same: dict[Any, list[int]] = {}
        for i, row in enumerate(rows):
            same.setdefault(tuple(row.ids[:-1]) if shares and row.targets == 1 else i, []).append(i)
        groups = [mine[at : at + MOST_LABELS] for mine in same.values() for at in range(0, len(mine), MOST_LABELS)]
        firsts = [rows[mine[0]] for mine in groups]
        labels = [sorted({rows[i].ids[-1] for i in mine}) if shares and rows[mine[0]].targets == 1 else [] for mine in groups]
        prompts = [first.ids[:-1] if ids else first.ids for first, ids in zip(firsts, labels, strict=True)]
        found: list[tuple[float, bool]] = [(0.0, False)] * len(rows)
        for mine, ids, output in zip(groups, labels, self.generate(prompts, [self.scoring(ids) for ids in labels]), strict=True):
            for i in mine:
                found[i] = of_choice(output, rows[i]) if ids else of_prompt(output, rows[i])
        return found

    def scoring(self, labels: list[int]) -> Any:
        wanted: dict[str, Any] = {"logprob_token_ids": labels} if labels else {"prompt_logprobs": 0}
        return self.params(temperature=0, max_tokens=1, detokenize=False, **wanted)

    # ---- texts, vectors, pairs

    def write(self, requests: list[Request]) -> list[Any]:
        made = [begun(request, self.codec, self.max_length) for request in requests]
        texts = [one for one in made if isinstance(one, Text)]
        self.continue_texts(texts)
        self.continue_texts([text for text in texts if text.goes_on()])
        return [one.answer(self.codec) if isinstance(one, Text) else one for one in made]

    def continue_texts(self, texts: list[Text]) -> None:
        outputs = self.generate([text.prompt + text.ids for text in texts], [self.params(**sampling(text, self.penalty)) for text in texts])
        for text, output in zip(texts, outputs, strict=True):
            text.add(output.outputs[0], self.codec)

    def embed(self, requests: list[Request]) -> list[Any]:
        texts = [stored_prompt(self.prompts, request) + request.text for request in requests]
        whole = [len(self.tokenizer(text).input_ids) for text in texts]
        rows = [list(self.tokenizer(text, truncation=True, max_length=self.max_length).input_ids) for text in texts]
        with version.bad_requests(self.llm.llm_engine):
            outputs = self.llm.embed([{"prompt_token_ids": ids} for ids in rows], use_tqdm=False, lora_request=self.lora)
        self.count(sum(map(len, rows)))
        return [self.vector(one.outputs.embedding, len(ids), full - len(ids)) for one, ids, full in zip(outputs, rows, whole, strict=True)]

    def score_pairs(self, requests: list[Request]) -> list[Any]:
        queries, passages = [one.context for one in requests], [one.continuation for one in requests]
        longest: dict[str, Any] = {"truncate_prompt_tokens": -1}
        if "truncate_prompt_tokens" not in inspect.signature(self.llm.score).parameters:
            longest = {"tokenization_kwargs": longest}
        with version.bad_requests(self.llm.llm_engine):
            outputs = self.llm.score(queries, passages, use_tqdm=False, lora_request=self.lora, **longest)
        tokens = [len(one.prompt_token_ids) for one in outputs]
        whole = [len(self.tokenizer(query, passage).input_ids) for query, passage in zip(queries, passages, strict=True)]
        self.count(sum(tokens))
        return [self.score(one.outputs.score, used, max(0, full - used)) for one, used, full in zip(outputs, tokens, whole, strict=True)]


def of_choice(output: Any, row: Scored) -> tuple[float, bool]:
    """The one token behind a prompt, among those that were asked for."""
    made, target = output.outputs[0], row.ids[-1]
    return made.logprobs[0][target].logprob, made.token_ids[0] == target


def of_prompt(output: Any, row: Scored) -> tuple[float, bool]:
    """The targets at a prompt's end."""
    ids = row.ids[-row.targets :]
    steps = [step[token] for token, step in zip(ids, output.prompt_logprobs[-row.targets :], strict=True)]
    return sum(step.logprob for step in steps), all(step.rank == 1 for step in steps)


def stored_prompt(prompts: dict[str, str], request: Request) -> str:
    return next((prompts[name] for name in request.ask.prompts if name in prompts), "")  # type: ignore[union-attr]


def stored_prompts(folder: str) -> dict[str, str]:
    """By name, what sentence-transformers puts before a text."""
    path = Path(folder, "config_sentence_transformers.json")
    return dict(read_json(path).get("prompts") or {}) if path.is_file() else {}


if __name__ == "__main__":
    serve(Vllm)
