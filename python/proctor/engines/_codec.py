"""Texts to token ids and back, as lm-eval's `hf` model does it: which special tokens are added, how a context and its continuation are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from proctor.guest import BadRequest

UNLIMITED = 1e18  # transformers' model_max_length where a tokenizer has none is larger
USUAL_TOKENS = 2048  # lm-eval's, where neither the configuration nor the tokenizer names a length


class Codec:
    """Of a transformers tokenizer."""

    def __init__(self, tokenizer: Any, add_bos_token: bool | None = None) -> None:
        self.tokenizer = tokenizer
        self._add_special = add_bos_token is not False
        has_bos = tokenizer.bos_token_id is not None
        self._prefix_id: int | None = tokenizer.bos_token_id if has_bos else tokenizer.eos_token_id
        self._prefix_text: str | None = tokenizer.bos_token if has_bos else tokenizer.eos_token
        self.eos_text: str = tokenizer.eos_token or ""
        self.cleans_up = bool(getattr(tokenizer, "clean_up_tokenization_spaces", False))  # what follows may take a space away
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self._special = set(tokenizer.all_special_ids) | {token for token, text in added.items() if text.special}

    @property
    def prefix_id(self) -> int:
        """What stands before a text without context: BOS, else EOS."""
        if self._prefix_id is None:
            raise BadRequest("the tokenizer has neither a BOS nor an EOS token, so an empty context has no beginning; name one in tokenizer_config.json")
        return int(self._prefix_id)

    def encode(self, text: str) -> list[int]:
        """With special tokens, unless the text begins with the prefix's or the module says add_bos_token: false."""
        begins = bool(self._prefix_text) and text.startswith(str(self._prefix_text))
        return self._encode(text, self._add_special and not begins)

    def encode_with_specials(self, text: str) -> list[int]:
        return self._encode(text, True)

    def encode_bare(self, text: str) -> list[int]:
        return self._encode(text, False)

    def _encode(self, text: str, specials: bool) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=specials, verbose=False))

    def encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Trailing white space of the context moves to the continuation; both are encoded together and cut where the context alone ends."""
        if not context:
            return self._after_nothing(continuation)
        context, continuation = _moved(context, continuation)
        before = self.encode(context)
        return _checked(before, self.encode(context + continuation)[len(before) :])

    def encode_apart(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The same of an encoder and its decoder: each is encoded alone."""
        if not context:
            return self._after_nothing(continuation)
        context, continuation = _moved(context, continuation)
        return _checked(self.encode(context), self.encode_bare(continuation))

    def _after_nothing(self, continuation: str) -> tuple[list[int], list[int]]:
        ids = self.encode_bare(continuation)
        if ids and ids[0] == self.prefix_id:
            return _checked(ids[:1], ids[1:])
        return _checked([self.prefix_id], ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def decode_whole(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def decode_keeping(self, ids: Iterable[int], kept: Sequence[int]) -> str:
        """Without special tokens but these."""
        return self.decode_whole([token for token in ids if token not in self._special or token in kept])

    def id_of(self, text: str) -> int:
        """-1 where no token is this text."""
        token = self.tokenizer.get_vocab().get(text)
        return -1 if token is None else int(token)


def rolling_windows(tokens: list[int], prefix: int, width: int) -> list[tuple[list[int], list[int]]]:
    """(input, targets) of each: every token is scored once, in windows of `width`, as lm-eval's get_rolling_token_windows."""
    first = min(width, len(tokens))
    if first == 0:
        return []
    windows = [([prefix, *tokens[: first - 1]], tokens[:first])]
    for done in range(first, len(tokens), width):
        end = min(len(tokens), done + width)
        windows.append((tokens[max(0, end - width - 1) : end - 1], tokens[done:end]))
    return windows


def max_length_of(config: Any, tokenizer: Any) -> int:
    """As lm-eval's resolve_max_length; where it passes by a model's own limit (of MPT, Bloom), no more than that."""
    text = getattr(config, "text_config", None) or config
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        if getattr(text, name, None) is not None:
            return int(getattr(text, name))
    said = getattr(tokenizer, "model_max_length", None)
    usual = USUAL_TOKENS if said is None or said > UNLIMITED else int(said)
    return min(usual, getattr(text, "max_seq_len", None) or getattr(text, "seq_length", None) or usual)


def in_range(ids: list[int], vocabulary: int) -> list[int]:
    for token in ids:
        if not 0 <= token < vocabulary:
            raise BadRequest(f"token id {token} is outside the model's vocabulary of {vocabulary}")
    return ids


def _moved(context: str, continuation: str) -> tuple[str, str]:
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation


def _checked(context: list[int], continuation: list[int]) -> tuple[list[int], list[int]]:
    if not continuation:
        raise BadRequest("the continuation has no token of its own")
    if not context:
        raise BadRequest("the context has no token (it is white space only)")
    return context, continuation
