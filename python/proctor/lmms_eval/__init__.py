"""lmms-eval's tasks on proctor's ranks (docs/lmms_eval.md)."""
from __future__ import annotations

from typing import Any


def manifest() -> Any:
    """What lmms-eval's entry points give: where its registry finds the model `proctor`. Asked while lmms_eval.models is being imported."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="proctor", simple_class_path="proctor.lmms_eval.model.Simple", chat_class_path="proctor.lmms_eval.model.Chat")
