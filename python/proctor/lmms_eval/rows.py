"""What lmms-eval's requests say, as rows of docs/requests.md."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proctor.lm_eval.run import BridgeError, Row, sampling

DELIMITER = "\n\n"  # lmms-eval writes it where a task sets no stop; its adapters take it out, or follow no stops at all
OF_OTHER_MODELS = ("image_aspect_ratio", "image_sizes")  # LLaVA's own code alone reads them


def stops(until: Any) -> list[str]:
    given = [until] if isinstance(until, str) else until or []
    return [stop for stop in given if stop and stop != DELIMITER]


def generation_row(context: str, kwargs: Mapping[str, Any], new_tokens: int, config: Mapping[str, Any]) -> Row:
    """`new_tokens`: where the task sets none. A temperature above 0 draws, as in lmms-eval's adapters: they do not look at do_sample.
    `config` is the model's generation_config.json."""
    kwargs = {key: value for key, value in kwargs.items() if key not in OF_OTHER_MODELS and value is not None}
    most = kwargs.pop("max_gen_toks", new_tokens)
    row = {"type": "generate_until", "context": context, "until": stops(kwargs.pop("until", None)), "max_gen_toks": int(kwargs.pop("max_new_tokens", most))}
    temperature, top_k, top_p = kwargs.pop("temperature", 0), kwargs.pop("top_k", None), kwargs.pop("top_p", None)
    kwargs.pop("do_sample", None)
    if kwargs.get("num_beams") == 1:
        del kwargs["num_beams"]
    if (penalty := kwargs.pop("repetition_penalty", None)) is not None:
        row["repetition_penalty"] = penalty
    if kwargs:
        raise BridgeError(f"generation_kwargs: {', '.join(sorted(kwargs))}: not implemented (proctor has until, max_new_tokens, temperature, top_p, "
                          "top_k, repetition_penalty)")
    return {**row, **sampling(temperature, top_k, top_p, config)} if temperature > 0 else row
