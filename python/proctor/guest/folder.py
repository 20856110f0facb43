"""What a model's folder holds: its hashes, and the sizes that config.json and the headers of its tensor files tell."""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proctor.guest.errors import BadFile

TENSOR_FILES = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".h5", ".npz", ".onnx")
OTHER_FILES = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".metadata", ".vocab", ".py", ".yaml", ".yml")
PIECE, BEGINNING = 8 << 20, 4 << 10  # bytes read at once; of a tensor file's beginning
MOST_HEADER_BYTES = 100 << 20  # of a safetensors file, as its format says
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}

# ModelFacts' key -> config.json's, the first that is there.
SIZES = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "head_dim": ("head_dim", "d_kv"),
    "intermediate": ("intermediate_size", "n_inner", "d_ff", "ffn_dim"),
    "vocabulary": ("vocab_size",),
    "max_length": ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len"),
}


def model_hash(folder: str) -> str:
    """Of the names and bytes of every file that decides a number."""
    return _hash(folder, None)


def folder_hash(folder: str) -> str:
    """The same with a tensor file's size and beginning only: what every node can compare before it loads."""
    return _hash(folder, BEGINNING)


def _hash(folder: str, most: int | None) -> str:
    digest = hashlib.sha256()
    for path in files_of(folder):
        name = path.relative_to(folder).as_posix()
        try:
            size = path.stat().st_size
            limit = min(size, most) if most is not None and path.suffix in TENSOR_FILES else size
            digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
            for piece in _pieces(path, limit):
                digest.update(piece)
        except OSError as error:
            raise BadFile(f"{path}: {error.strerror}") from error
    return digest.hexdigest()[:32]


def files_of(folder: str) -> list[Path]:
    """By name; hidden files and folders are a download's bookkeeping."""
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".") and Path(name).suffix in TENSOR_FILES + OTHER_FILES]
    return sorted(found)


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while size > 0:
            piece = file.read(min(PIECE, size))
            if not piece:
                raise BadFile(f"{path}: became shorter while it was read")
            size -= len(piece)
            yield piece


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(f"{path}: is not JSON: {error}") from error


def config_facts(folder: str) -> dict[str, Any]:
    path = Path(folder, "config.json")
    if not path.is_file():
        return {}
    config = read_json(path)
    if not isinstance(config, dict):
        raise BadFile(f"{path}: is not a JSON object")
    inner: dict[str, Any] = next((config[key] for key in ("text_config", "llm_config", "language_config") if isinstance(config.get(key), dict)), {})
    both = {**config, **inner}
    facts: dict[str, Any] = {}
    for name, keys in SIZES.items():
        value = next((both[key] for key in keys if isinstance(both.get(key), int) and not isinstance(both[key], bool) and both[key] > 0), None)
        if value is not None:
            facts[name] = value
    if "heads" in facts:
        facts.setdefault("kv_heads", facts["heads"])
        if "hidden" in facts:
            facts.setdefault("head_dim", facts["hidden"] // facts["heads"])
    if architectures := config.get("architectures"):
        facts["architecture"] = str(architectures[0])
    dtype = str(both.get("dtype") or both.get("torch_dtype") or "").removeprefix("torch.")
    if dtype in DTYPES.values():
        facts["checkpoint_dtype"] = dtype
    return facts


def tensor_facts(folder: str) -> dict[str, Any]:
    """Of *.safetensors in the folder; of other formats the bytes alone."""
    here = [path for path in files_of(folder) if path.suffix in TENSOR_FILES]
    headers = [safetensors_header(path) for path in here if path.suffix == ".safetensors" and path.parent == Path(folder)]
    if not headers:
        size = sum(path.stat().st_size for path in here)
        return {"weight_bytes": size} if size else {}
    tensors = {name: one for header in headers for name, one in header.items() if name != "__metadata__"}
    size = sum(one["data_offsets"][1] - one["data_offsets"][0] for one in tensors.values())
    bytes_of: dict[str, int] = {}
    for one in tensors.values():
        bytes_of[one["dtype"]] = bytes_of.get(one["dtype"], 0) + one["data_offsets"][1] - one["data_offsets"][0]
    facts: dict[str, Any] = {"parameters": sum(math.prod(one["shape"]) for one in tensors.values()), "weight_bytes": size}
    most = max(bytes_of, key=lambda dtype: bytes_of[dtype], default="")
    return {**facts, "checkpoint_dtype": DTYPES[most]} if most in DTYPES else facts


def safetensors_header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        head = file.read(8)
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= size <= MOST_HEADER_BYTES:
            raise BadFile(f"{path}: is not a safetensors file (its header's length is {size})")
        text = file.read(size)
    try:
        header = json.loads(text)
        end = max((one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(f"{path}: its safetensors header is damaged") from error
    if path.stat().st_size < 8 + size + end:
        raise BadFile(f"{path}: is cut short ({path.stat().st_size} bytes of {8 + size + end}); was its download finished?")
    return header


def special_texts(folder: str) -> dict[str, str]:
    """eos_text and bos_text, where the tokenizer's files name them."""
    facts = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        path = Path(folder, file)
        given = read_json(path) if path.is_file() else {}
        for key, fact in (("eos_token", "eos_text"), ("bos_token", "bos_text")):
            token = given.get(key) if isinstance(given, dict) else None
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str) and text:
                facts[fact] = text
    return facts
