"""A model's folder by its name, as proctor finds it: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class NoModelError(Exception):
    """Neither a folder nor in the cache; the message says where it was looked for, and what fetches it."""


def hub_cache(environment: Mapping[str, str]) -> Path:
    if cache := environment.get("HF_HUB_CACHE"):
        return Path(cache)
    if home := environment.get("HF_HOME"):
        return Path(home) / "hub"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface/hub"


def find_model(name: str, environment: Mapping[str, str]) -> Path:
    """A folder, or org/name[@revision] in the Hugging Face cache."""
    if Path(name).is_dir():
        return Path(name).resolve()
    repository, _, revision = name.partition("@")
    place = hub_cache(environment) / f"models--{repository.replace('/', '--')}"
    reference = place / "refs" / (revision or "main")
    snapshot = place / "snapshots" / (reference.read_text().strip() if reference.is_file() else revision or "main")
    if not snapshot.is_dir():
        raise NoModelError(f"{name}: neither a folder nor in the Hugging Face cache ({snapshot}); nothing is downloaded. To fetch it: "
                           f"huggingface-cli download {repository}" + (f" --revision {revision}" if revision else ""))
    return snapshot
