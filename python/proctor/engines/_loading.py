"""A transformers model on its device, and what the engines have to know of it. Nothing is downloaded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from proctor.guest import BadFile, Module, Refused

# Rows of these are computed in batches of equal lengths: padding would change them.
RECURRENT = (
    "mamba", "falcon_mamba", "rwkv", "jamba", "zamba", "bamba", "recurrent_gemma", "falcon_h1", "nemotron_h", "lfm2", "granitemoehybrid", "xlstm", "qwen3_next",
    "minimax", "plamo", "kimi_linear",
)
UNPADDED_LAYERS = {"linear_attention", "chunked_attention", "mamba", "conv", "recurrent", "hybrid"}
UNPADDED_ROPE = {"dynamic", "longrope", "su"}  # turn by the longest row
SLACK = 0.125
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")  # options that from_pretrained() has
MESSAGE_LETTERS = 200  # of transformers' own, some of which list all that it knows
HARMLESS = (r"inv_freq$", r"position_ids$", r"\.masked_bias$", r"\.attn\.bias$", r"\.attention\.bias$")
COUNT_FROM_PADDING = {"roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "data2vec-text", "ibert"}


@dataclass
class Loaded:
    model: Any
    tokenizer: Any
    config: Any
    device: str
    seq2seq: bool = False
    arguments: frozenset[str] = frozenset()  # that forward() has
    slack: float = 0.0  # of batches() where the model tolerates padding

    @property
    def keeps_logits(self) -> bool:
        """Whether forward() computes the last logits alone where asked."""
        return "logits_to_keep" in self.arguments

    @property
    def counts_from_padding(self) -> bool:
        """Whether its first position is the one behind the padding's id."""
        return getattr(self.config, "model_type", "") in COUNT_FROM_PADDING

    @property
    def vocabulary(self) -> int:
        text = getattr(self.config, "text_config", None) or self.config
        return int(getattr(text, "vocab_size", 0) or len(self.tokenizer))

    @property
    def start_token(self) -> int:
        for settings in (self.config, self.model.generation_config):
            if getattr(settings, "decoder_start_token_id", None) is not None:
                return int(settings.decoder_start_token_id)
        return int(self.tokenizer.pad_token_id or 0)

    def tensor(self, rows: Sequence[Sequence[int]]) -> Any:
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def padded(self, rows: Sequence[Sequence[int]], left: bool = False) -> tuple[Any, Any]:
        """Token ids and their mask."""
        most, pad = max(map(len, rows)), self.pad_token
        holes = [most - len(row) for row in rows]
        ids = [[pad] * hole + list(row) if left else list(row) + [pad] * hole for row, hole in zip(rows, holes, strict=True)]
        mask = [[0] * hole + [1] * len(row) if left else [1] * len(row) + [0] * hole for row, hole in zip(rows, holes, strict=True)]
        return self.tensor(ids), self.tensor(mask)

    @property
    def pad_token(self) -> int:
        """The configuration's first: some models count positions by it."""
        for settings in (self.config, self.tokenizer):
            if 0 <= (getattr(settings, "pad_token_id", None) or -1) < self.vocabulary:
                return int(settings.pad_token_id)
        return 0


def load(auto_class: Any, module: Module, device: str, announce: Callable[[str], None]) -> Loaded:
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    common = {"trust_remote_code": bool(module.option("trust_remote_code", False)), "local_files_only": True}
    announce("tokenizer")
    try:
        config = AutoConfig.from_pretrained(module.path, **common)
    except (ValueError, KeyError) as error:  # an architecture that it does not know, code that is not trusted
        raise Refused(f"{module.path}: {str(error).strip().splitlines()[0][:MESSAGE_LETTERS]}") from error
    bos = {} if module.add_bos_token is None else {"add_bos_token": module.add_bos_token}
    tokenizer = AutoTokenizer.from_pretrained(module.path, **bos, **common)
    announce("weights")
    dtype = "auto" if module.dtype == "auto" else getattr(torch, module.dtype)
    more: dict[str, Any] = {name: module.options[name] for name in IMPLEMENTATIONS if name in module.options}
    if "attn_implementation" not in more and _needs_eager(config):
        more["attn_implementation"] = "eager"
    if getattr(config, "quantization_config", None) is not None:
        more["device_map"] = {"": device}  # its weights cannot be moved afterwards
    model, found = auto_class(config).from_pretrained(module.path, config=config, dtype=dtype, output_loading_info=True, **more, **common)
    _refuse_missing(module, found["missing_keys"])
    if "device_map" not in more:
        announce(f"move to {device}")
        model.to(device)
    arguments = frozenset(inspect.signature(model.forward).parameters)
    if adapter := module.option("adapter"):
        announce("adapter")
        model = _adapted(model, adapter)
    model.eval()
    loaded = Loaded(model, tokenizer, config, device, bool(getattr(config, "is_encoder_decoder", False)), arguments)
    loaded.slack = SLACK if tolerates_padding(config, common["trust_remote_code"]) else 0.0
    return loaded


def tolerates_padding(config: Any, remote_code: bool) -> bool:
    """Whether a row's numbers stay what they are, but for rounding, beside a longer one."""
    text = getattr(config, "text_config", None) or config
    kind = str(getattr(text, "model_type", ""))
    rope = dict(getattr(text, "rope_scaling", None) or getattr(text, "rope_parameters", None) or {})
    every = [rope, *(one for one in rope.values() if isinstance(one, dict))]  # each kind of layer may have its own
    turns = {str(one.get("rope_type", one.get("type", ""))) for one in every}
    layers = set(getattr(text, "layer_types", None) or getattr(text, "layers_block_type", None) or ())
    return not (remote_code or kind.startswith(RECURRENT) or turns & UNPADDED_ROPE or layers & UNPADDED_LAYERS)


def _needs_eager(config: Any) -> bool:
    """GPT-2's own scales of attention, which transformers' other implementations pass by."""
    return getattr(config, "model_type", "") == "gpt2" and (config.scale_attn_by_inverse_layer_idx or not config.scale_attn_weights)


def _refuse_missing(module: Module, names: Sequence[str]) -> None:
    """transformers would draw them at random. A vector needs no pooler; buffers are made again."""
    harmless = HARMLESS + ((r"(^|\.)pooler\.",) if module.kind == "embedding" else ())
    missing = sorted(name for name in names if not any(re.search(one, name) for one in harmless))
    if missing:
        raise BadFile(f"{module.path}: has no {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''} ({len(missing)} of kind {module.kind}'s tensors)")


def _adapted(model: Any, adapter: str) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise Refused("option adapter needs the package peft") from error
    return PeftModel.from_pretrained(model, adapter, local_files_only=True)
