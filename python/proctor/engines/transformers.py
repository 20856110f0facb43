"""The engine `transformers`: every architecture that the package transformers loads, quantised and adapted ones too.

    python -m proctor.engines.transformers serve|check|probe

Answers have the meaning of proctor's own modules, which is lm-eval's `hf` model's for a generator and sentence-transformers' for embeddings and
cross-encoders. Nothing is downloaded. Options: trust_remote_code (false), adapter (a folder that peft reads), attn_implementation and
experts_implementation (as from_pretrained has them); of a cross_encoder activation and truncation.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proctor.engines._adapter import count_adapter
from proctor.engines._memory import claim_memory, freeze_imports, release_memory
from proctor.engines._sentences import read_activation, read_json, read_sentence_settings
from proctor.guest import BadFile, Engine, Module, Refused, Request, Unit, serve

USUAL_BATCH_TOKENS = 2048
OPTIONS = ("activation", "adapter", "attn_implementation", "experts_implementation", "truncation", "trust_remote_code")
PAIR_OPTIONS = ("activation", "truncation")
TRUNCATIONS = ("longest_first", "only_second")
QUANTISERS = ("accelerate", "bitsandbytes", "compressed-tensors", "gptqmodel", "auto-gptq", "autoawq", "kernels", "optimum", "hqq", "torchao")


class Transformers(Engine):
    name = "transformers"
    kinds = ("generator", "embedding", "cross_encoder")
    answers = ("loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair")
    promises = ("pure", "logprobs", "reports_memory")
    packages = ("torch", "transformers", "tokenizers", "safetensors")
    environment = ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
    sources = (
        "_adapter.py", "_batches.py", "_beams.py", "_codec.py", "_defaults.py", "_embedding.py", "_encoders.py", "_generation.py", "_generator.py", "_loading.py",
        "_logits.py", "_reasoning.py", "_rows.py", "_sampling.py", "_scoring.py", "_sentences.py",
    )
    unit_requests = None  # batches are made here, of rows that are about equally long

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        """Adds what else decides a number: an adapter's files, the packages that it and quantised weights need."""
        refuse_options(module)
        config = read_json(Path(module.path) / "config.json", None)
        if config is None:
            raise BadFile(f"{module.path}: has no config.json")
        architecture = str(facts.get("architecture", ""))
        facts["kinds"] = kinds_of(architecture, config)
        if module.kind not in facts["kinds"]:
            raise Refused(f"{module.path}: {architecture or 'a folder without architectures'} is no {module.kind} ({', '.join(facts['kinds'])})")
        if module.kind != "generator":
            settings = read_sentence_settings(module.path, architecture)
            facts["max_length"] = module.max_length or settings.max_tokens or facts.get("max_length", USUAL_BATCH_TOKENS)
        elif "max_length" not in facts:  # as lm-eval finds it
            said = read_json(Path(module.path) / "tokenizer_config.json", {}).get("model_max_length")
            facts["max_length"] = int(said) if isinstance(said, (int, float)) and said < 1e18 else 2048
        needed = [*(["peft"] if "adapter" in module.options else []), *(QUANTISERS if "quantization_config" in config else [])]
        facts["engine"]["versions"].update(installed(needed))
        count_adapter(module, facts)

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        refuse_options(module)
        announce("imports")
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        import torch

        torch.set_num_threads(max(1, self.threads))
        self._device = "cuda:0" if self.device == "cuda" else "cpu"
        claim_memory(self, "before", self._device)
        if module.kind == "generator":
            from proctor.engines._generator import Generator

            freeze_imports()
            self._kind: Any = Generator(module, self._device, announce)
        else:
            from proctor.engines._embedding import CrossEncoder, Embedding

            freeze_imports()
            self._kind = (Embedding if module.kind == "embedding" else CrossEncoder)(module, self._device, announce)

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        import torch

        with torch.no_grad():
            answered, tokens = self._kind.run(requests, unit.max_batch_tokens or USUAL_BATCH_TOKENS, unit.announce)
        unit.count(tokens)
        return list(answered)

    def close(self) -> None:
        if hasattr(self, "_device"):
            with self.step("drop the model"):
                self._kind = None
                gc.collect()
            release_memory(self, self._device)


def refuse_options(module: Module) -> None:
    unknown = sorted(set(module.options) - set(OPTIONS))
    if unknown:
        raise Refused(f"option {unknown[0]} is not known (options: {', '.join(OPTIONS)})")
    for name in PAIR_OPTIONS:
        if name in module.options and module.kind != "cross_encoder":
            raise Refused(f"option {name} is a cross_encoder's")
    if module.option("truncation", TRUNCATIONS[0]) not in TRUNCATIONS:
        raise Refused(f"option truncation: expected {' or '.join(TRUNCATIONS)}, found '{module.options['truncation']}'")
    if module.option("activation") is not None:
        read_activation(module.path, module.options["activation"], 2)
    if module.tensor_parallel > 1:
        raise Refused("tensor_parallel: this engine computes on one device; engine vllm, or a native module, spreads over several")


def kinds_of(architecture: str, config: dict[str, Any]) -> list[str]:
    """Of one that is not known by its ending, both are tried: load() refuses a folder that lacks the head."""
    if architecture.endswith("ForSequenceClassification"):
        return ["cross_encoder"]
    headless = architecture.endswith(("Model", "ForMaskedLM", "ForPreTraining")) and not architecture.endswith("LMHeadModel")
    return ["embedding"] if headless and not config.get("is_encoder_decoder") else ["generator", "embedding"]


def installed(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name == "peft":
                raise Refused("option adapter needs the package peft") from None
    return found


if __name__ == "__main__":
    serve(Transformers)
