#!/usr/bin/env python3
"""Numbers of two tiny models of every decoder family by transformers and torch 2.11.0, in float32
-> tests/data/goldens/family_goldens.json

    OMP_NUM_THREADS=1 make_family_goldens.py [--families NAME,...] [--check]

Makes the families of this transformers' major release (4.57.1; 5.24.0 for those that need it), or those named, and replaces
them in the file; `made_with` stands in a model where it differs from the file's.
Of each family a plain model (seed 0) and one with its unusual options (seed 1). The weights follow from the key and the
names: tiny_models.write_family. --check also says what would make a golden weak: tensors without influence, logits that are
flat or huge, a greedy text that says nothing, a cache or LibTorch's attention that gives other numbers. Needs the oracle's environment.
"""
import argparse
import json
import sys
from pathlib import Path

import torch
import transformers
from family_models import FAMILIES, NASTY, PLAIN, can_make, draw, greedy, load, log_likelihood, logits, own_families
from golden_file import in_order, made_of

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

GOLDENS = Path(__file__).parent.parent / "data/goldens/family_goldens.json"
MADE_WITH = f"transformers {transformers.__version__}, torch {torch.__version__}"
PROMPTS = [[256, *text.encode()] for text in ("Hi", "Tell me a tale: ", "A sentence that is longer than a window")]
ROWS = [[0, 2], [8, 16], [11, 25, 39]]
STEP = 7
CONTINUATION = list(b"right")
GENERATED = 16
KINDS = [PLAIN, NASTY]


def digits(value):
    return float(f"{value:.7g}")


def golden(name, seed, folder):
    """Of several keys the first whose greedy text has five different tokens and no near tie, else the one with the most."""
    config, tensors = draw(name, seed, KINDS[seed], share=2 - seed)  # a gang of two divides the plain one
    best = None
    for attempt in range(30):
        key = f"{name} {seed} {attempt}"
        model = load(tiny_models.write_family(folder, key, config, tensors), FAMILIES[name].attention)
        text = greedy(model, PROMPTS[1], GENERATED)
        variety = len(set(text)) if smallest_gap(model, text) > 1e-2 else 0
        best = max(best or (-1,), (variety, key), key=lambda found: found[0])
        if variety >= 5:
            break
    model = load(tiny_models.write_family(folder, best[1], config, tensors), FAMILIES[name].attention)
    rows = [[[digits(x) for x in logits(model, prompt)[row, ::STEP].tolist()] for row in picked] for prompt, picked in zip(PROMPTS, ROWS)]
    return model, {"key": best[1], "config": config, "tensors": tensors, "logits": rows, "greedy": greedy(model, PROMPTS[1], GENERATED),
                   "log_likelihoods": [digits(log_likelihood(model, prompt, CONTINUATION)) for prompt in PROMPTS]}


def smallest_gap(model, text):
    """Between the two best logits of a greedy text's steps."""
    best = logits(model, PROMPTS[1] + text)[len(PROMPTS[1]) - 1 : -1].topk(2).values
    return (best[:, 0] - best[:, 1]).min()


def without(model, value):
    """The logits with zeros for a tensor, which may steer choices and so have no gradient."""
    kept = value.detach().clone()
    with torch.no_grad():
        value.zero_()
        changed = logits(model, PROMPTS[2])
        value.copy_(kept)
    return changed


def weaknesses(model, made, _name, folder):
    all_logits = logits(model, PROMPTS[2])
    spread, largest = all_logits.std(dim=-1), all_logits.abs().max()
    if not (0.5 < spread.min() and spread.max() < 6 and largest < 30):
        yield f"logits: standard deviations {spread.min():.2f} to {spread.max():.2f}, largest {largest:.1f}"
    if len(set(made["greedy"])) < 4:
        yield f"greedy text: {made['greedy']}"
    cached = model.generate(torch.tensor([PROMPTS[1]]), max_new_tokens=GENERATED, do_sample=False, eos_token_id=None, pad_token_id=0)[0, len(PROMPTS[1]):].tolist()
    if cached != made["greedy"]:
        yield "greedy text: with a cache it is another one"
    try:
        other = (logits(load(folder, "sdpa"), PROMPTS[2]) - all_logits).abs().max()
        if other > 1e-4:
            yield f"sdpa: differs by {other:.1e}"
    except ValueError as error:
        yield f"sdpa: {str(error)[:80]}"
    model(torch.tensor([PROMPTS[2]])).logits.square().sum().backward()
    idle = [tensor for tensor, value in model.named_parameters() if value.requires_grad and (value.grad is None or value.grad.abs().max() < 1e-6)
            and not any(part in tensor for part in ("vision", "multi_modal")) and (without(model, value) - all_logits).abs().max() < 1e-6]
    if idle:
        yield f"no influence: {idle}"


def merged(made):
    """The file's content with these models in it."""
    old = json.loads(GOLDENS.read_text()) if GOLDENS.exists() else {"made_with": MADE_WITH, "models": {}}
    differs = {} if old["made_with"] == MADE_WITH else {"made_with": MADE_WITH}
    models = old["models"] | {name: {**differs, **golden} for name, golden in made.items()}
    return {"made_with": old["made_with"], "prompts": PROMPTS, "rows": ROWS, "logit_step": STEP, "continuation": CONTINUATION, "greedy_prompt": 1,
            "models": in_order(models, FAMILIES, KINDS)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=lambda text: text.split(","), default=own_families())
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if too_new := [name for name in options.families if not can_make(name)]:
        parser.error(f"transformers {transformers.__version__} is too old for {', '.join(too_new)}")
    models = made_of(options.families, KINDS, golden, weaknesses if options.check else None)
    GOLDENS.write_text(json.dumps(merged(models), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
