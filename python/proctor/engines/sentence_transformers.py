"""The engine `sentence_transformers`: what that package loads as an embedder, a sparse encoder or a cross-encoder.

    python -m proctor.engines.sentence_transformers serve|check|probe

It computes all of a vector or a score itself, in the module's dtype. A sparse encoder's vector has a number for each token of its vocabulary; proctor
compares it by the cosine, as every vector. Nothing is downloaded. Options: trust_remote_code (false); of a cross_encoder activation.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proctor.engines._batches import batches
from proctor.engines._memory import claim_memory, freeze_imports, release_memory
from proctor.engines._sentences import ACTIVATIONS, OWN_FILE, TRANSFORMER_FILES, read_json
from proctor.guest import BadRequest, Engine, Module, Refused, Request, Unit, serve
from proctor.guest.requests import Embed

USUAL_BATCH_TOKENS = 2048
SLACK = 0.125  # of a batch's lengths
OPTIONS = ("activation", "trust_remote_code")
SPARSE = "sentence_transformers.sparse_encoder"


class SentenceTransformers(Engine):
    name = "sentence_transformers"
    kinds = ("embedding", "cross_encoder")
    answers = ("embed", "score_pair")
    promises = ("pure", "reports_memory")
    packages = ("torch", "transformers", "tokenizers", "sentence-transformers")
    environment = ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
    sources = ("_batches.py", "_sentences.py")
    unit_requests = None  # batches are made here, of texts that are about equally long

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        refuse_options(module)
        said = [read_json(Path(module.path) / name, {}).get("max_seq_length") for name in TRANSFORMER_FILES]
        if module.max_length is None and any(said):
            facts["max_length"] = next(one for one in reversed(said) if one)
        if module.kind == "embedding" and is_sparse(module.path):
            facts["notes"].append("a sparse encoder: vectors have a number for each token of the vocabulary, and are compared by their cosine")

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        refuse_options(module)
        announce("imports")
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        import sentence_transformers
        import torch

        freeze_imports()
        torch.set_num_threads(max(1, self.threads))
        self._device = "cuda:0" if self.device == "cuda" else "cpu"
        claim_memory(self, "before", self._device)
        announce("model")
        common: dict[str, Any] = {
            "device": self._device, "trust_remote_code": bool(module.option("trust_remote_code", False)), "local_files_only": True,
            "model_kwargs": {"dtype": "auto" if module.dtype == "auto" else getattr(torch, module.dtype)},
        }
        self._prompts: dict[str, str] = {}
        if module.kind == "cross_encoder":
            self._load_cross_encoder(sentence_transformers, module, common)
        else:
            sparse = is_sparse(module.path)
            self._model: Any = (sentence_transformers.SparseEncoder if sparse else sentence_transformers.SentenceTransformer)(module.path, **common)
            self._sparse, self._pairs = sparse, False
            self._load_embedder(module)

    def _load_embedder(self, module: Module) -> None:
        own = read_json(Path(module.path) / OWN_FILE, {})
        self._prompts = {name: self._model.prompts[name] for name in own.get("prompts") or {} if name in self._model.prompts}
        self._default = own.get("default_prompt_name") or ""
        similarity, last = own.get("similarity_fn_name"), type(self._model[-1]).__name__
        if not self._sparse and similarity not in (None, "cosine") and not (similarity == "dot" and last == "Normalize"):
            raise Refused(f"{module.path}: similarity_fn_name {similarity} is not supported (vectors are compared by their cosine)")
        tokenizer = self._model.tokenizer
        if hasattr(tokenizer, "pad_token_id") and tokenizer.pad_token_id is None:  # its places are masked
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if module.max_length is not None:
            self._model.max_seq_length = module.max_length
        self._most = self._model.max_seq_length

    def _load_cross_encoder(self, package: Any, module: Module, common: dict[str, Any]) -> None:
        self._model = package.CrossEncoder(module.path, max_length=module.max_length, **common)
        self._sparse, self._pairs = False, True
        self._most = self._model.max_length
        labels = self._model.config.num_labels
        if labels not in (1, 2):
            raise Refused(f"{module.path}: a cross_encoder has one output or two, this head has {labels}")
        activation: Any = module.option("activation") or ("softmax" if labels == 2 else None)
        if activation == "softmax" and labels == 1:
            raise Refused("option activation: the softmax of one output is 1 for every passage")
        self._softmax = activation == "softmax"
        import torch

        self._activation = {"identity": torch.nn.Identity(), "sigmoid": torch.nn.Sigmoid(), "softmax": torch.nn.Identity()}.get(activation)

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        if unit.type != ("score_pair" if self._pairs else "embed"):
            return [BadRequest(f"a module of this kind does not answer {unit.type}") for _ in requests]
        ask = requests[0].ask  # of all of them but for ids
        prompt = self._prompt(ask.prompts) if isinstance(ask, Embed) else ""
        lengths = [self._length(request, prompt) for request in requests]
        tokens = [min(length, self._most or length) for length in lengths]
        made = batches(tokens, unit.max_batch_tokens or USUAL_BATCH_TOKENS, SLACK)
        answers: list[Any] = [None] * len(requests)
        for number, batch in enumerate(made):
            unit.announce(f"batch {number + 1} of {len(made)}, {len(batch)} texts")
            for i, row in zip(batch, self._compute([requests[i] for i in batch], prompt), strict=True):
                lost = lengths[i] - tokens[i]
                answers[i] = self.score(float(row), tokens[i], lost) if self._pairs else self.vector(row, tokens[i], lost)
        return answers

    def close(self) -> None:
        if hasattr(self, "_device"):
            with self.step("drop the model"):
                self._model = None
                gc.collect()
            release_memory(self, self._device)

    def _prompt(self, names: Sequence[str]) -> str:
        """The first of these that the model's own file has, else its default one, else nothing."""
        return next((self._prompts[name] for name in (*names, self._default) if name in self._prompts), "")

    def _length(self, request: Request, prompt: str) -> int:
        """In tokens, before anything is cut off."""
        tokenizer = self._model.tokenizer
        if self._pairs:
            return len(tokenizer(request.context, request.continuation, verbose=False)["input_ids"])
        text = (prompt + request.text).strip()
        return len(tokenizer(text, verbose=False)["input_ids"]) if callable(tokenizer) else len(tokenizer.encode(text).ids)

    def _compute(self, requests: Sequence[Request], prompt: str) -> Any:
        """A number or a list of them for each."""
        settings: dict[str, Any] = {"batch_size": len(requests), "show_progress_bar": False}
        if self._pairs:
            pairs = [(request.context, request.continuation) for request in requests]
            scores = self._model.predict(pairs, activation_fn=self._activation, apply_softmax=self._softmax, convert_to_tensor=True, **settings)
            return (scores[:, -1] if scores.dim() == 2 else scores).float().tolist()
        texts = [request.text for request in requests]
        is_passage = bool(getattr(requests[0].ask, "passage", ""))
        encode = self._model.encode_document if is_passage else self._model.encode_query
        if self._sparse:
            settings["convert_to_sparse_tensor"] = False
        return encode(texts, prompt=prompt, convert_to_tensor=True, **settings).float().cpu().numpy()


def refuse_options(module: Module) -> None:
    unknown = sorted(set(module.options) - set(OPTIONS))
    if unknown:
        raise Refused(f"option {unknown[0]} is not known (options: {', '.join(OPTIONS)})")
    if module.option("activation", ACTIVATIONS[0]) not in ACTIVATIONS:
        found = module.options["activation"]
        raise Refused(f"option activation: expected one of {', '.join(ACTIVATIONS)}, found '{found}' (over_passages needs a native module)")
    if module.tensor_parallel > 1:
        raise Refused("tensor_parallel: this engine computes on one device")
    if module.add_bos_token is not None:
        raise Refused(f"add_bos_token is not read by kind {module.kind}")


def is_sparse(folder: str) -> bool:
    return any(str(one.get("type", "")).startswith(SPARSE) for one in read_json(Path(folder) / "modules.json", []))


if __name__ == "__main__":
    serve(SentenceTransformers)
