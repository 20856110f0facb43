#!/usr/bin/env python3
"""Numbers of two tiny models of every encoder architecture by transformers 4.57.1 and torch 2.11.0, in float32
-> tests/data/goldens/encoder_family_goldens.json

    OMP_NUM_THREADS=1 make_encoder_family_goldens.py [--encoders NAME,...] [--check]

Makes all, or those named, and replaces them in the file. Of each a plain model (seed 0) and one with its unusual options
(seed 1), whose config.json is as transformers 5 writes it where that has other keys. Three sequences of tokens: of each the first
token's state, the last one's and the mean of all; and the logits of a head. The weights follow from the key and the names:
tiny_models.write_encoder_family. --check also says what would make a golden weak: tensors without influence, logits that are flat.
Needs the oracle's environment.
"""
import argparse
import json
import sys
from pathlib import Path

import torch
import transformers
from encoder_models import ENCODERS, NASTY, PLAIN, Dice, draw, inputs, load, logits, states
from golden_file import in_order, made_of

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402
from encoder_families import texts  # noqa: E402

GOLDENS = Path(__file__).parent.parent / "data/goldens/encoder_family_goldens.json"
MADE_WITH = f"transformers {transformers.__version__}, torch {torch.__version__}"
TEXTS, TYPES = texts(Dice("encoder texts"))
KINDS = [PLAIN, NASTY]
# Draws of unusual options, where the first one's are also another architecture's of the family, or are weak.
DRAWS = {"albert": 8, "albert_labels": 2, "deberta_v2": 4, "deberta_v2_labels": 303, "embedding_gemma": 18, "modernbert": 55, "modernbert_labels": 20, "modernbert_words": 55,
         "mpnet": 4, "mpnet_labels": 7, "new": 41, "new_labels": 63, "nomic_bert": 19, "roberta_labels": 2, "xlm_roberta": 12, "xlm_roberta_labels": 32}
# Of what is not computed here: the pooler behind a plain model, the head of a masked model.
UNUSED = ("pooler", "lm_head", "decoder.bias", "head.dense", "head.norm")
# A number that is added to all of a query's products.
WITHOUT_INFLUENCE = ("key.bias", ".k_lin.bias", ".k.bias", "key_proj.bias")


def digits(values):
    return [float(f"{value:.9g}") for value in values.tolist()]


def golden(name, seed, folder):
    """Of several keys the first whose tokens' states differ, else the one with the most: attention may make them all alike."""
    encoder = ENCODERS[name]
    config, tensors = draw(name, DRAWS.get(name, 1) if seed else 0, KINDS[seed], share=2 - seed)  # a gang of two divides the plain one
    given = inputs(config, TEXTS[2], TYPES[2])
    best = (-1, "")
    for attempt in range(20):
        key = f"{name} {seed} {attempt}"
        with torch.no_grad():
            best = max(best, (apart(states(load(tiny_models.write_encoder_family(folder, key, config, tensors)), given)), key))
        if best[0] > 0.15:
            break
    model = load(tiny_models.write_encoder_family(folder, best[1], config, tensors))
    made = {"key": best[1], "config": encoder.newer(config) if encoder.newer and seed == 1 else config, "tensors": tensors, "states": []}
    with torch.no_grad():
        for ids, types in zip(TEXTS, TYPES):
            given = inputs(config, ids, types)
            of_text = states(model, given)
            made["states"].append([digits(of_text[0])] if len(ids) == 1 else [digits(row) for row in (of_text[0], of_text[-1], of_text.double().mean(0))])
            if encoder.labels():
                made.setdefault("logits", []).append(digits(logits(model, given)))
    return model, made


def apart(of_text):
    """The smallest distance of neighbours' states, as a share of their length."""
    return ((of_text[1:] - of_text[:-1]).norm(dim=1) / of_text[1:].norm(dim=1)).min().item()


def weaknesses(model, made, name, _folder):
    encoder, config = ENCODERS[name], made["config"]
    given = inputs(config, TEXTS[2], TYPES[2])
    of_text = states(model, given)
    if not (0.3 < of_text.std() < 6 and of_text.abs().max() < 30):
        yield f"states: standard deviation {of_text.std():.2f}, largest {of_text.abs().max():.1f}"
    if apart(of_text) < 0.08:
        yield f"states of neighbours are as near as {apart(of_text):.3f}"
    (of_text * torch.linspace(-1, 1, of_text.numel()).view_as(of_text)).sum().backward(retain_graph=True)
    if encoder.labels():
        heads = logits(model, given)
        if heads.abs().max() > 20 or (torch.tensor(made["logits"][1]) - torch.tensor(made["logits"][2])).abs().max() < 0.05:
            yield f"logits: {made['logits']}"
        heads.square().sum().backward()
    idle = [tensor for tensor, value in model.named_parameters() if value.requires_grad and (value.grad is None or value.grad.abs().max() < 1e-6) and not tensor.endswith(WITHOUT_INFLUENCE)
            and (encoder.labels() or not any(part in tensor for part in UNUSED))]
    if idle:
        yield f"no influence: {idle}"


def merged(made):
    """The file's content with these models in it."""
    old = json.loads(GOLDENS.read_text())["models"] if GOLDENS.exists() else {}
    models = old | made
    return {"made_with": MADE_WITH, "texts": TEXTS, "types": TYPES, "models": in_order(models, ENCODERS, KINDS)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", type=lambda text: text.split(","), default=list(ENCODERS))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    models = made_of(options.encoders, KINDS, golden, weaknesses if options.check else None)
    GOLDENS.write_text(json.dumps(merged(models), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
