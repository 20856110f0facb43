"""The kind `generator` of the engine transformers: a language model that scores texts and continues them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSeq2SeqLM

from proctor.engines._beams import search
from proctor.engines._codec import Codec, max_length_of
from proctor.engines._defaults import take_defaults
from proctor.engines._generation import answer_of, generate
from proctor.engines._loading import load
from proctor.engines._rows import GenerationRow, RowMaker, ScoredRow, of_each
from proctor.engines._scoring import TokenScores, score
from proctor.guest import BadRequest, Engine, Module, Request

Announce = Callable[[str], None]
Answers = tuple[list[Any], int]  # and the tokens computed


class Generator:
    def __init__(self, module: Module, device: str, announce: Announce) -> None:
        self._loaded = loaded = load(auto_class, module, device, announce)
        self._codec = Codec(loaded.tokenizer, module.add_bos_token)
        self._defaults = take_defaults(loaded.model)
        length = module.max_length or max_length_of(loaded.config, loaded.tokenizer)
        positions = getattr(loaded.config, "max_position_embeddings", None) or 0
        self._rows = RowMaker(
            self._codec, length, loaded.vocabulary, self._defaults, loaded.seq2seq, loaded.start_token, positions if loaded.seq2seq else 0
        )

    def run(self, requests: list[Request], max_tokens: int, announce: Announce) -> Answers:
        if requests[0].type == "loglikelihood":
            return self._score(requests, max_tokens, announce)
        if requests[0].type == "loglikelihood_rolling":
            return self._score_windows(requests, max_tokens, announce)
        if requests[0].type == "generate_until":
            return self._generate(requests, max_tokens, announce)
        return [BadRequest(f"a generator does not answer {request.type}") for request in requests], 0

    def _score(self, requests: Sequence[Request], max_tokens: int, announce: Announce) -> Answers:
        made = of_each(requests, lambda _, request: self._rows.scored(request))
        rows: list[ScoredRow] = [one[0] for one in made if not isinstance(one, BadRequest)]
        scores, tokens = score(self._loaded, rows, max_tokens, announce)
        next_score = iter(scores)

        def answer(one: Any) -> Any:
            if isinstance(one, BadRequest):
                return one
            mine = next(next_score)
            return Engine.loglikelihood(mine.sum, mine.greedy, len(mine.log_p), one[1])

        return [answer(one) for one in made], tokens

    def _score_windows(self, requests: Sequence[Request], max_tokens: int, announce: Announce) -> Answers:
        """A text's windows are added in their order."""
        made = of_each(requests, lambda _, request: self._rows.windows(request))
        rows: list[ScoredRow] = [row for one in made if not isinstance(one, BadRequest) for row in one]
        scores, tokens = score(self._loaded, rows, max_tokens, announce)
        next_score = iter(scores)

        def answer(one: Any) -> Any:
            if isinstance(one, BadRequest):
                return one
            mine: list[TokenScores] = [next(next_score) for _ in one]
            return Engine.rolling(sum(window.sum for window in mine), sum(len(window.log_p) for window in mine))

        return [answer(one) for one in made], tokens

    def _generate(self, requests: Sequence[Request], max_tokens: int, announce: Announce) -> Answers:
        """Equal greedy texts are computed once."""
        made = of_each(requests, self._rows.generated)
        first: dict[Any, GenerationRow] = {}
        for row in made:
            if not isinstance(row, BadRequest):
                first.setdefault((tuple(row.prompt), row.truncated, row.ask.draw), row)
        rows = list(first.values())
        if self._defaults.beams > 1:
            for number, row in enumerate(rows):
                announce(f"beam search {number + 1} of {len(rows)}")
                search(self._loaded, self._codec, self._defaults, row)
            tokens = sum(len(row.prompt) + len(row.generated) for row in rows)
        else:
            tokens = generate(self._loaded, self._codec, self._defaults, rows, max_tokens, announce)
        if rows and rows[0].ask.logprobs and self._defaults.others:
            tokens += self._score_generated([row for row in rows if row.generated], max_tokens, announce)
        computed = (row if isinstance(row, BadRequest) else first[(tuple(row.prompt), row.truncated, row.ask.draw)] for row in made)
        return [row if isinstance(row, BadRequest) else answer_of(row, self._codec) for row in computed], tokens

    def _score_generated(self, rows: Sequence[GenerationRow], max_tokens: int, announce: Announce) -> int:
        """Where transformers' own processors changed the logits that a token was chosen from: the model reads the text once more."""
        causal = not self._loaded.seq2seq
        texts = [ScoredRow(row.prompt + row.generated[:-1] if causal else row.prompt, row.generated) for row in rows]
        scores, tokens = score(self._loaded, texts, max_tokens, announce)
        for row, mine in zip(rows, scores, strict=True):
            row.logprobs = mine.log_p
        return tokens


def auto_class(config: Any) -> Any:
    """An image-text model reads texts alone here."""
    if getattr(config, "is_encoder_decoder", False):
        return AutoModelForSeq2SeqLM
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    images = type(config) in AutoModelForImageTextToText._model_mapping
    return AutoModelForImageTextToText if images and not known else AutoModelForCausalLM
