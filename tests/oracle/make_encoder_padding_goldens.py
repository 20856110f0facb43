#!/usr/bin/env python3
"""Texts in which the padding token stands, as somebody may write it, by transformers 4.57.1 and torch 2.11.0, float32, for the plain models of
encoder_family_goldens.json (the others' config.json may be transformers 5's) -> tests/data/goldens/encoder_padding_goldens.json

    OMP_NUM_THREADS=1 make_encoder_padding_goldens.py

Of each the tokens, and the mean of their last states. Needs the oracle's environment.
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from encoder_models import inputs, load, states

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

GOLDENS = Path(__file__).parent.parent / "data/goldens"


def main():
    models = {}
    for name, golden in json.loads((GOLDENS / "encoder_family_goldens.json").read_text())["models"].items():
        if not name.endswith("-0"):
            continue
        padding = golden["config"].get("pad_token_id") or 0
        tokens = [5, padding, 7, padding, padding, 9, 11, padding]
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            model = load(tiny_models.write_encoder_family(folder, golden["key"], golden["config"], golden["tensors"]))
            mean = states(model, inputs(golden["config"], tokens, [0] * len(tokens))).double().mean(0)
        models[name] = {"tokens": tokens, "mean": [float(f"{value:.9g}") for value in mean.tolist()]}
    made = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}", "models": models}
    (GOLDENS / "encoder_padding_goldens.json").write_text(json.dumps(made) + "\n")


main()
