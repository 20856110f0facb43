"""Where the models of a configuration lie: what --model says, a folder, or the Hugging Face cache. Nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from proctor.autorag.errors import ConfigError
from proctor.model_folder import NoModelError, find_model


class Models:
    def __init__(self, given: Sequence[str]):
        self.folders: dict[str, Path] = {}
        for one in given:
            name, _, folder = one.partition("=")
            if not name or not folder or not Path(folder).is_dir():
                raise ConfigError(f"--model {one}: expected NAME=FOLDER, the folder that stands for a model's name")
            self.folders[name] = Path(folder).resolve()

    def check(self, name: str, where: str) -> None:
        try:
            self.folder(name)
        except NoModelError as error:
            raise ConfigError(f"{where}: {error}; or --model {name}=FOLDER") from error

    def folder(self, name: str) -> str:
        return str(self.folders.get(name) or find_model(name, os.environ))
