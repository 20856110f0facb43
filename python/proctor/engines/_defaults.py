"""What a model's generation_config.json says. Most of it is followed here and taken out of generate()'s sight."""

from __future__ import annotations

from typing import Any

from proctor.engines._rows import Defaults
from proctor.guest import Refused

# Keys that another search or another end would need, each with the value that turns it off.
REFUSED: dict[str, Any] = {
    "num_beam_groups": 1, "diversity_penalty": 0.0, "penalty_alpha": 0.0, "dola_layers": None, "force_words_ids": None, "constraints": None,
    "stop_strings": None, "max_time": None, "token_healing": False, "watermarking_config": None, "guidance_scale": 1.0, "exponential_decay_length_penalty": None,
    "prompt_lookup_num_tokens": None,
}
# Keys that transformers' own processors follow, ahead of what a request asks for.
FOLLOWED: dict[str, Any] = {
    "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0, "bad_words_ids": None, "suppress_tokens": None,
    "begin_suppress_tokens": None, "forced_bos_token_id": None, "forced_eos_token_id": None, "sequence_bias": None, "remove_invalid_values": False,
    "num_beams": 1,
}
NEUTRAL: dict[str, Any] = {
    "eos_token_id": None, "repetition_penalty": 1.0, "min_length": 0, "min_new_tokens": None, "max_new_tokens": None, "do_sample": False,
    "temperature": 1.0, "top_p": 1.0, "top_k": 50, "disable_compile": True, "return_dict_in_generate": False, "output_scores": False, "output_logits": False,
}


def take_defaults(model: Any) -> Defaults:
    """Raises Refused for what is neither followed here nor by generate()."""
    config = model.generation_config
    given = {key: value for key in (*REFUSED, *FOLLOWED) if (value := getattr(config, key, None)) is not None}
    wrong = [f"{key} = {given[key]}" for key, off in REFUSED.items() if key in given and given[key] != off]
    if wrong:
        raise Refused(f"generation_config.json: {', '.join(wrong)} is not supported")
    eos = config.eos_token_id
    defaults = Defaults([] if eos is None else [int(one) for one in (eos if isinstance(eos, (list, tuple)) else [eos])])
    defaults.penalty = float(getattr(config, "repetition_penalty", None) or 1.0)
    defaults.max_new = config.max_new_tokens
    defaults.beams = int(given.get("num_beams", 1))
    defaults.min_new = int(getattr(config, "min_new_tokens", None) or 0)
    defaults.min_length = int(getattr(config, "min_length", None) or 0)
    defaults.others = [key for key, off in FOLLOWED.items() if key in given and given[key] != off]
    for key, value in NEUTRAL.items():
        setattr(config, key, value)
    return defaults
