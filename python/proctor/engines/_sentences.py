"""A sentence-transformers folder's own files: how token states become a vector, and what a cross-encoder's outputs go through."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.guest import BadFile, Refused

Json = dict[str, Any]
OWN_FILE = "config_sentence_transformers.json"
TRANSFORMER_FILES = ("sentence_xlm-roberta_config.json", "sentence_roberta_config.json", "sentence_bert_config.json")
POOLING = {
    "mean_tokens": "mean", "cls_token": "cls", "lasttoken": "lasttoken", "max_tokens": "max", "weightedmean_tokens": "weightedmean",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
}
ACTIVATIONS = ("identity", "sigmoid", "softmax")


@dataclass
class SentenceSettings:
    pooling: str = "mean"
    dense: list[Path] = field(default_factory=list)  # folders of products behind the pooling, one after another
    normalize: bool = False
    lower_case: bool = False
    max_tokens: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str = ""

    def prompt(self, names: list[str]) -> str:
        """The first of these that there is, else the default one, else nothing."""
        return next((self.prompts[name] for name in (*names, self.default_prompt) if name in self.prompts), "")


def read_sentence_settings(folder: str, architecture: str) -> SentenceSettings:
    settings = SentenceSettings("lasttoken" if architecture.endswith("ForCausalLM") else "mean")
    path = Path(folder)
    for module in read_json(path / "modules.json", []):
        _read_module(path, module, settings)
    for name in TRANSFORMER_FILES:
        _read_transformer(path / name, settings)
    own = read_json(path / OWN_FILE, {})
    if own.get("truncate_dim") is not None:
        raise Refused(f"{path / OWN_FILE}: truncate_dim is not supported by this engine")
    similarity = own.get("similarity_fn_name") or "cosine"
    if similarity != "cosine" and not (similarity == "dot" and settings.normalize):
        raise Refused(f"{path / OWN_FILE}: similarity_fn_name {similarity} is not supported (vectors are compared by their cosine)")
    settings.prompts = {name: text for name, text in (own.get("prompts") or {}).items() if isinstance(text, str)}
    settings.default_prompt = own.get("default_prompt_name") or ""
    return settings


def read_activation(folder: str, asked: str | None, labels: int) -> str:
    """Of a cross-encoder: as sentence-transformers reads it; of two outputs the softmax, whose second is "relevant"."""
    if labels not in (1, 2):
        raise Refused(f"{folder}: a cross_encoder has one output or two, this head has {labels}")
    if asked is not None:
        if asked not in ACTIVATIONS:
            raise Refused(f"option activation: expected one of {', '.join(ACTIVATIONS)}, found '{asked}' (over_passages needs a native module)")
        if asked == "softmax" and labels == 1:
            raise Refused("option activation: the softmax of one output is 1 for every passage")
        return asked
    config, own = read_json(Path(folder) / "config.json", {}), read_json(Path(folder) / OWN_FILE, {})
    of_config = config.get("sentence_transformers")
    name = own.get("activation_fn") or (of_config or {}).get("activation_fn") or config.get("sbert_ce_default_activation_function") or ""
    kind = str(name).rsplit(".", 1)[-1].lower()
    if labels == 2 and kind in ("", "identity", "softmax"):
        return "softmax"
    if labels == 1 and kind in ("", "identity", "sigmoid"):
        return kind or "sigmoid"
    raise Refused(f"{folder}: activation function {name} of {labels} outputs is not supported")


def read_json(path: Path, fallback: Any) -> Any:
    if not path.is_file():
        return fallback
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(f"{path}: {error}") from error


def _read_transformer(path: Path, settings: SentenceSettings) -> None:
    given = read_json(path, {})
    more = [key for key in ("model_args", "tokenizer_args", "config_args") if given.get(key)]
    if more:
        raise Refused(f"{path}: {more[0]} is not supported here; engine sentence_transformers reads it")
    settings.max_tokens = given.get("max_seq_length") or settings.max_tokens
    settings.lower_case = bool(given.get("do_lower_case", settings.lower_case))
    for part in ("common", "text"):
        settings.max_tokens = ((given.get("processing_kwargs") or {}).get(part) or {}).get("max_length") or settings.max_tokens


def _read_module(folder: Path, module: Json, settings: SentenceSettings) -> None:
    kind, where = str(module.get("type", "")).rsplit(".", 1)[-1], folder / module.get("path", "")
    if kind == "Transformer" and where == folder:
        return
    if kind == "Pooling":
        settings.pooling = _read_pooling(where / "config.json")
    elif kind == "Normalize":
        settings.normalize = True
    elif kind == "Dense" and not settings.normalize:
        settings.dense.append(where)
    else:
        raise Refused(f"{folder / 'modules.json'}: module {module.get('type')} is not supported here; engine sentence_transformers reads it")


def _read_pooling(path: Path) -> str:
    """Its pooling_mode, or each older flag that is set; the mean is, unless the file says no."""
    given = read_json(path, {})
    if not given.get("include_prompt", True):
        raise Refused(f"{path}: include_prompt false is not supported here; engine sentence_transformers reads it")
    modes = given.get("pooling_mode")
    if modes is None:
        flags = {"pooling_mode_mean_tokens": True, **given}
        modes = [key.removeprefix("pooling_mode_") for key, value in flags.items() if key.startswith("pooling_mode_") and value is True]
    modes = [POOLING.get(re.sub("^pooling_mode_", "", mode), mode) for mode in ([modes] if isinstance(modes, str) else modes)]
    if len(modes) != 1 or modes[0] not in POOLING.values():
        raise Refused(f"{path}: pooling by {' and '.join(modes) or 'nothing'} is not supported here; engine sentence_transformers reads it")
    return str(modes[0])
