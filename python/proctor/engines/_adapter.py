"""A PEFT adapter beside a module's weights: the option `adapter`, a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from proctor.guest import BadFile, Module
from proctor.guest.folder import model_hash, read_json


def adapter_config(folder: str) -> dict[str, Any]:
    path = Path(folder, "adapter_config.json")
    if not path.is_file():
        raise BadFile(f"{folder}: has no adapter_config.json")
    config = read_json(path)
    if not isinstance(config, dict):
        raise BadFile(f"{path}: is no object")
    return config


def count_adapter(module: Module, facts: dict[str, Any]) -> None:
    """Its files decide the answers too."""
    if adapter := module.option("adapter"):
        adapter_config(adapter)
        facts["model_hash"] = hashlib.sha256(f"{facts.get('model_hash')} {model_hash(adapter)}".encode()).hexdigest()[:32]
