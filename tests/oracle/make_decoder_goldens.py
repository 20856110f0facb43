#!/usr/bin/env python3
"""Logits of the tiny models by transformers 4.57.1 and torch 2.11.0 -> tests/data/goldens/decoder_goldens.json

    OMP_NUM_THREADS=1 make_decoder_goldens.py > ../data/goldens/decoder_goldens.json

Needs the oracle's environment (tools/compare_lm_eval says how it is made), not the product's.
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

TOKENS = [256, 72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100, 33, 32, 50, 55]
ROWS = [3, 15]


def logits(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0, ROWS].double()


def greedy(folder, count=12):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    out = model.generate(torch.tensor([TOKENS]), max_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0)
    return out[0, len(TOKENS):].tolist()


with tempfile.TemporaryDirectory() as root:
    tiny_models.main(root)
    goldens = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}", "tokens": TOKENS, "rows": ROWS, "models": {}}
    for name in tiny_models.FAMILIES:
        goldens["models"][name] = {"logits": [[round(x, 7) for x in row[::3].tolist()] for row in logits(f"{root}/{name}")], "greedy": greedy(f"{root}/{name}")}
    print(json.dumps(goldens))
