"""The kinds `embedding` and `cross_encoder` of the engine transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTextEncoding

from proctor.engines._encoders import Encoding, Pooler, TextEncoder, in_batches, token_limit
from proctor.engines._loading import Loaded, load
from proctor.engines._rows import of_each
from proctor.engines._sentences import SentenceSettings, read_activation, read_sentence_settings
from proctor.guest import BadRequest, Engine, Module, Refused, Request
from proctor.guest.requests import Embed

Announce = Callable[[str], None]


class _TextModule:
    """Texts in, a row of numbers each out."""

    _loaded: Loaded
    _answers: str

    def _encoding(self, request: Request) -> Encoding:
        raise NotImplementedError

    def _compute(self, outputs: Any, mask: Any) -> Any:
        raise NotImplementedError

    def _answer(self, row: Any, encoding: Encoding) -> Any:
        raise NotImplementedError

    def run(self, requests: Sequence[Request], max_tokens: int, announce: Announce) -> tuple[list[Any], int]:
        if requests[0].type != self._answers:
            return [BadRequest(f"a module of this kind does not answer {request.type}") for request in requests], 0
        made = of_each(requests, lambda _, request: self._encoding(request))
        encodings = [one for one in made if not isinstance(one, BadRequest)]
        rows = iter(in_batches(self._loaded, encodings, max_tokens, announce, self._compute))
        answers = [one if isinstance(one, BadRequest) else self._answer(next(rows), one) for one in made]
        return answers, sum(len(one.ids) for one in encodings)


class Embedding(_TextModule):
    """Pooled as a sentence-transformers folder says; a plain ...ForCausalLM by its last token, others by the mean."""

    _answers = "embed"

    def __init__(self, module: Module, device: str, announce: Announce) -> None:
        _refuse_bos(module)
        self._loaded = load(_encoder_class, module, device, announce)
        architecture = next(iter(getattr(self._loaded.config, "architectures", None) or [""]))
        self._settings: SentenceSettings = read_sentence_settings(module.path, architecture)
        self._encode = TextEncoder(self._loaded, token_limit(self._loaded, module.max_length, self._settings.max_tokens))
        self._pooler = Pooler(self._settings, device)

    def _encoding(self, request: Request) -> Encoding:
        assert isinstance(request.ask, Embed)
        text = (self._settings.prompt(request.ask.prompts) + request.text).strip()
        return self._encode(text.lower() if self._settings.lower_case else text)

    def _compute(self, outputs: Any, mask: Any) -> Any:
        return self._pooler(outputs, mask)

    def _answer(self, row: Any, encoding: Encoding) -> Any:
        return Engine.vector(row.tolist(), len(encoding.ids), encoding.truncated)


class CrossEncoder(_TextModule):
    """A head of one output, or of two whose second is "relevant"."""

    _answers = "score_pair"

    def __init__(self, module: Module, device: str, announce: Announce) -> None:
        _refuse_bos(module)
        self._loaded = load(lambda _: AutoModelForSequenceClassification, module, device, announce)
        config = self._loaded.config
        if getattr(config, "pad_token_id", None) is None:  # a decoder's head looks for it
            config.pad_token_id = self._loaded.model.config.pad_token_id = self._loaded.pad_token
        self._activation = read_activation(module.path, module.option("activation"), config.num_labels)
        usual = read_sentence_settings(module.path, "").max_tokens
        only_second = module.option("truncation", "longest_first") == "only_second"
        self._encode = TextEncoder(self._loaded, token_limit(self._loaded, module.max_length, usual), only_second)

    def _encoding(self, request: Request) -> Encoding:
        return self._encode(request.context, request.continuation)

    def _compute(self, outputs: Any, mask: Any) -> Any:
        logits = outputs.logits.float()
        if self._activation == "softmax":
            return logits.softmax(1)[:, -1]
        return (logits.sigmoid() if self._activation == "sigmoid" else logits)[:, -1]

    def _answer(self, row: Any, encoding: Encoding) -> Any:
        return Engine.score(float(row), len(encoding.ids), encoding.truncated)


def _encoder_class(config: Any) -> Any:
    """Of an encoder with a decoder, the encoder, which T5's may have been saved as."""
    with_decoder = getattr(config, "is_encoder_decoder", False) or config.model_type in ("t5", "mt5", "umt5")
    return AutoModelForTextEncoding if with_decoder else AutoModel


def _refuse_bos(module: Module) -> None:
    if module.add_bos_token is not None:
        raise Refused(f"add_bos_token is not read by kind {module.kind}")
