"""What transformers saves of a model, without its numbers."""
import json
import tempfile
from pathlib import Path

from safetensors import safe_open


def saved(model):
    """(Contents of its JSON files by name, shapes of its tensors by name.)"""
    model.tie_weights()  # else a tied head is saved as a tensor of its own
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(f"{folder}/model.safetensors", "pt") as file:
            shapes = {tensor: file.get_slice(tensor).get_shape() for tensor in file.keys()}
        return {path.name: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}, shapes
