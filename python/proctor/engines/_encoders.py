"""Vectors of texts and scores of pairs, as sentence-transformers computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from proctor.engines._batches import batches
from proctor.engines._codec import UNLIMITED, in_range
from proctor.engines._loading import Loaded
from proctor.engines._sentences import SentenceSettings, read_json
from proctor.guest import BadFile, BadRequest, Refused

LEAST_TOKENS = 3  # of a text: one between two special tokens


@dataclass
class Encoding:
    ids: list[int]
    types: list[int] | None
    truncated: int


class TextEncoder:
    """Encodes texts to at most `most` tokens, special ones included; the right end is cut off."""

    def __init__(self, loaded: Loaded, most: int, only_second: bool = False) -> None:
        if only_second and not loaded.tokenizer.is_fast:
            raise Refused("option truncation: only_second needs a tokenizer of the package tokenizers")
        self._tokenizer, self._most, self._only_second = loaded.tokenizer, most, only_second
        self._vocabulary, self._types = loaded.vocabulary, getattr(loaded.config, "type_vocab_size", 0) or 0

    def __call__(self, *texts: str) -> Encoding:
        """Of a text or a pair. Raises BadRequest for what the model cannot read."""
        encoding = self._of_pair(*texts) if self._only_second else self._encoded(*texts)
        if not encoding.ids:
            raise BadRequest("the text has no token")
        in_range(encoding.ids, self._vocabulary)
        if encoding.types and max(encoding.types) >= self._types > 0:
            raise BadRequest(f"token type {max(encoding.types)} is not one of the model's {self._types}")
        return encoding

    def _encoded(self, *texts: str) -> Encoding:
        whole = self._tokenizer(*texts, verbose=False)
        lost = max(0, len(whole["input_ids"]) - self._most)
        cut = self._tokenizer(*texts, truncation=True, max_length=self._most) if lost else whole
        return Encoding(list(cut["input_ids"]), cut.get("token_type_ids"), lost)

    def _of_pair(self, first: str, second: str) -> Encoding:
        """As FlagEmbedding: the query keeps three quarters of all tokens, then the passage is cut."""
        fast = self._tokenizer.backend_tokenizer
        fast.no_truncation()
        fast.no_padding()
        query, passage = (fast.encode(text, add_special_tokens=False) for text in (first, second))
        before = len(query) + len(passage)
        query.truncate(min(len(query), self._most * 3 // 4))
        room = max(0, self._most - fast.num_special_tokens_to_add(True) - len(query))
        passage.truncate(min(len(passage), room))
        both = fast.post_process(query, passage, True)
        types = both.type_ids if "token_type_ids" in self._tokenizer.model_input_names else None
        return Encoding(both.ids, types, before - len(query) - len(passage))


def token_limit(loaded: Loaded, said: int | None, usual: int | None) -> int:
    """What the module says, else `usual`, else as many as the model and its tokenizer have room for."""
    table = getattr(loaded.config, "max_position_embeddings", None)
    if table is not None and loaded.counts_from_padding:
        table -= loaded.pad_token + 1
    own = getattr(loaded.tokenizer, "model_max_length", UNLIMITED)
    if said and table and said > table:
        raise Refused(f"max_length {said} is past the model's {table} positions")
    limit = said or usual or min(table or UNLIMITED, own)
    limit = int(min(limit, table or limit))
    if limit < LEAST_TOKENS:
        raise Refused(f"texts would be cut to {limit} tokens, below {LEAST_TOKENS}")
    return limit


def forward(loaded: Loaded, encodings: Sequence[Encoding]) -> tuple[Any, Any]:
    """The model's outputs, and the mask of its tokens."""
    ids, mask = loaded.padded([one.ids for one in encodings])
    more = {}
    if encodings[0].types is not None and "token_type_ids" in loaded.arguments:
        most = ids.shape[1]
        more["token_type_ids"] = loaded.tensor([list(one.types or []) + [0] * (most - len(one.ids)) for one in encodings])
    return loaded.model(input_ids=ids, attention_mask=mask, **more), mask


def in_batches(
    loaded: Loaded, encodings: Sequence[Encoding], max_tokens: int, announce: Callable[[str], None], compute: Callable[[Any, Any], Any]
) -> list[Any]:
    """compute(outputs, mask) gives a row of numbers for each text of a batch."""
    made = batches([len(one.ids) for one in encodings], max_tokens, loaded.slack)
    found: list[Any] = [None] * len(encodings)
    for number, batch in enumerate(made):
        announce(f"batch {number + 1} of {len(made)}, {len(batch)} texts")
        rows = compute(*forward(loaded, [encodings[i] for i in batch])).cpu()
        for i, row in zip(batch, rows, strict=True):
            found[i] = row
    return found


class Pooler:
    """Token states to a vector in float32: the pooling, products behind it, the length 1 where the folder says so."""

    def __init__(self, settings: SentenceSettings, device: str) -> None:
        self._pooling, self._normalize = settings.pooling, settings.normalize
        self._dense = [_read_dense(folder, device) for folder in settings.dense]

    def __call__(self, outputs: Any, mask: Any) -> Any:
        vectors = pooled(outputs.last_hidden_state.float(), mask, self._pooling)
        for layer in self._dense:
            vectors = layer(vectors)
        return torch.nn.functional.normalize(vectors, dim=1) if self._normalize else vectors


def pooled(states: Any, mask: Any, pooling: str) -> Any:
    """states [texts, tokens, hidden], padded on the right; mask [texts, tokens]."""
    counts = mask.sum(1, keepdim=True)
    there = mask.unsqueeze(2).to(states.dtype)
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[torch.arange(len(states), device=states.device), counts.squeeze(1) - 1]
    if pooling == "max":
        return states.masked_fill(there == 0, float("-inf")).amax(1)
    if pooling == "weightedmean":
        there = there * torch.arange(1, states.shape[1] + 1, device=states.device).view(1, -1, 1)
        return (states * there).sum(1) / there.sum(1)
    return (states * there).sum(1) / (counts.sqrt() if pooling == "mean_sqrt_len_tokens" else counts)


def _read_dense(folder: Path, device: str) -> Any:
    given = read_json(folder / "config.json", None)
    if given is None:
        raise BadFile(f"{folder / 'config.json'}: no such file")
    linear = torch.nn.Linear(given["in_features"], given["out_features"], bias=given.get("bias", True))
    name = str(given.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    if not isinstance(activation := getattr(torch.nn, name, None), type):
        raise Refused(f"{folder / 'config.json'}: activation function {name} is not supported")
    tensors = _tensors(folder)
    linear.load_state_dict({key.removeprefix("linear."): value.float() for key, value in tensors.items()})
    return torch.nn.Sequential(linear, activation()).to(device)


def _tensors(folder: Path) -> dict[str, Any]:
    if (folder / "model.safetensors").is_file():
        from safetensors.torch import load_file

        return dict(load_file(folder / "model.safetensors"))
    return dict(torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True))
