#!/usr/bin/env python3
"""What lm-eval 0.4.13's HFLM (backend seq2seq, batch_size 1) says of two tiny models of every encoder-decoder architecture, by
transformers 4.57.1 and torch 2.11.0, in float32 -> tests/data/goldens/seq2seq_goldens.json

    OMP_NUM_THREADS=1 make_seq2seq_goldens.py [--models NAME,...] [--check]

Makes all, or those named, and replaces them in the file. Of each a plain model (seed 0) and one with its unusual options (seed 1).
The requests are the same for all; "own" ones are a model's, continuations that it would have written itself. "variants" are the
answers where the module says more. The weights follow from the key and the names: tiny_models.write_seq2seq_family. --check also says
what would make a golden weak: texts that are short or alike, tokens that are nearly as good as the one written, sums that float64 does not
give.
Needs the oracle's environment with accelerate.
"""
import argparse
import json
from pathlib import Path

import lm_eval
import torch
import transformers
from golden_file import in_order, made_of
from seq2seq_models import NASTY, PLAIN, SEQ2SEQS, Calls, answer, draw, load, tiny_models

GOLDENS = Path(__file__).parent.parent / "data/goldens/seq2seq_goldens.json"
MADE_WITH = f"lm-eval {lm_eval.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
KINDS = [PLAIN, NASTY]
LONG = ("This context has more tokens than any of the models takes, since it is meant to be cut on its left side, to be sure that the end is what is read; "
        "and where it is a text of its own, it is cut into windows.")
FIRST, TABLE = "Question: is it so?\nAnswer:", "At the end of a context that is as long as the table of positions, to be sure, a model cannot write all that it is asked for"
REQUESTS = [
    {"context": "Is it so? ", "continuation": "yes, true"},
    {"context": "Is it so?", "continuation": " yes, true"},
    {"context": "Is it so?", "continuation": "yes"},
    {"context": "The capital  ", "continuation": " of France is Paris."},
    {"context": FIRST, "continuation": " no\n"},
    {"context": "Où est-ce ?", "continuation": " là, où ≥ 3"},
    {"context": "", "continuation": "no"},
    {"context": "", "continuation": " true and false"},
    {"context": "   ", "continuation": "no"},
    {"context": " \n", "continuation": " x"},
    {"context": LONG, "continuation": " no"},
    {"context": LONG + " ", "continuation": "yes, true"},
    {"context": "</s>a b", "continuation": " c"},
    {"context": "<s>a b", "continuation": " c"},
    {"context": "x</s>y", "continuation": "z<s>"},
    {"context": "", "continuation": "</s>a"},
    {"context": "", "continuation": "<s>a"},
    {"context": "a", "continuation": ""},
    {"context": "a", "continuation": " "},
    {"context": "a", "continuation": LONG},
    {"text": "a false text"},
    {"text": LONG},
    {"text": LONG[:70] + "\n\n" + LONG},
    {"text": ""},
    {"text": "</s>a b"},
    {"text": " x"},
    {"context": FIRST, "until": ["\n"], "max_gen_toks": 6},
    {"context": "Say it:", "until": ["e", "o", "~"], "max_gen_toks": 12},
    {"context": "yes or no ", "until": ["s", "no", " "], "max_gen_toks": 16},
    {"context": "", "until": [], "max_gen_toks": 5},
    {"context": LONG, "until": ["\n\n"], "max_gen_toks": 5},
    {"context": TABLE, "until": [], "max_gen_toks": 24},
    {"context": "a", "until": [], "max_gen_toks": 1},
    {"context": "<s>a b", "until": [], "max_gen_toks": 8},
    {"context": "</s>a b", "until": [], "max_gen_toks": 8},
    {"context": "once more", "until": [], "max_gen_toks": 10, "repetition_penalty": 1.6},
    {"context": "to be sure, it is so", "until": [], "max_gen_toks": 20},
]
VARIANTS = {"t5-0": [{"add_bos_token": False}, {"max_length": 20}], "bart-0": [{"add_bos_token": False}, {"max_length": 20}]}
PROBES = [request for request in REQUESTS if "until" in request][1:5]


def digits(value):
    return {key: float(f"{one:.9g}") if isinstance(one, float) else one for key, one in value.items()}


def variety(answers):
    """The share of different pairs of neighbours in what is written; less where it ends at once or where none ends by itself."""
    texts = [one["text"] for one in answers if "text" in one]
    pairs = [text[i : i + 2] for text in texts for i in range(len(text) - 1)]
    return len(set(pairs)) / max(20, len(pairs)) - sum(len(text) < 4 for text in texts) / len(texts)


def own_requests(lm):
    """Continuations of which each token is the likeliest, and whose text gives these tokens again; the longest ones first."""
    found = []
    for word in ["yes", "true", "I", "so", "the end", "Paris", "as said", "x", "is it", "42", "one", "more", "[", "no", "or", "a"] * 4:
        context = f"{word} {len(found)}"
        encoder, tokens = torch.tensor([lm.tok_encode(context)]), [lm.model.config.decoder_start_token_id]
        with torch.no_grad():
            for _ in range(5):
                tokens.append(lm.model(input_ids=encoder, decoder_input_ids=torch.tensor([tokens])).logits[0, -1].argmax().item())
        for last in range(6, 1, -1):
            text = lm.tokenizer.decode(tokens[1:last])
            if text and lm.tok_encode(text, add_special_tokens=False) == tokens[1:last] and context not in [one["context"] for one in found]:
                found.append({"context": context, "continuation": text, "length": last})
                break
        if len(found) == 4:
            break
    return [{"context": one["context"], "continuation": one["continuation"]} for one in found]


def golden(name, seed, folder):
    """Of several keys the one whose texts are most varied."""
    config, tensors, files, kind = draw(name, seed, KINDS[seed], share=2 - seed)  # a gang of two divides the plain one
    best = (-9.0, "")
    for attempt in range(40):
        key = f"{name} {seed} {attempt}"
        calls = Calls(load(tiny_models.write_seq2seq_family(folder, key, config, tensors, files, kind)))
        best = max(best, (variety([answer(calls, request) for request in PROBES]), key))
        if best[0] > 0.8:
            break
    tiny_models.write_seq2seq_family(folder, best[1], config, tensors, files, kind)
    lm = load(folder)
    made = {"key": best[1], "config": config, "files": files, "tokenizer": kind, "tensors": tensors, "own": own_requests(lm)}
    calls, largest = Calls(lm), 0.0
    made["answers"] = []
    for request in REQUESTS + made["own"]:
        made["answers"].append(digits(answer(calls, request)))
        for logits in [logits for _, _, logits in calls.scored] + [logits for _, _, _, logits in calls.written]:
            largest = max(largest, logits.abs().max().item())
    made["largest_logit"] = float(f"{largest:.3g}")
    made["variants"] = [{"module": more, "answers": [digits(answer(of_variant, request)) for request in REQUESTS]} for more in VARIANTS.get(f"{name}-{seed}", [])
                        for of_variant in [Calls(load(folder, **more))]]
    return calls, made


def weaknesses(calls, made, _name, folder):
    requests = REQUESTS + made["own"]
    exact = Calls(load(folder, dtype="float64"))
    texts = [one["text"] for one in made["answers"] if "text" in one]
    yield f"{sum(one.get('greedy', False) for one in made['answers'])} greedy of {len(made['own'])} own; variety {variety(made['answers']):.2f}; largest logit {made['largest_logit']}; {texts}"
    yield f"errors {[i for i, one in enumerate(made['answers']) if 'error' in one]}"
    off = 0.0
    for request, one in zip(requests, made["answers"]):
        again = answer(exact, request)
        if "text" in one:
            answer(calls, request)
            best = calls.written[0][2].topk(2).values
            if (gap := (best[:, 0] - best[:, 1]).min().item()) < 3e-4 * made["largest_logit"]:
                yield f"{request}: a token is {gap:.1e} ahead of the next"
            if again != one:
                yield f"{request}: float64 writes {again}, float32 {one}"
        elif "sum" in one:
            off = max(off, abs(again["sum"] - one["sum"]) / one["tokens"])
    yield f"sums are off by {off / made['largest_logit']:.1e} of a logit a token"


def merged(made):
    """The file's content with these models in it."""
    old = json.loads(GOLDENS.read_text())["models"] if GOLDENS.exists() else {}
    models = old | made
    return {"made_with": MADE_WITH, "requests": REQUESTS, "models": in_order(models, SEQ2SEQS, KINDS)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(SEQ2SEQS))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    models = made_of(options.models, KINDS, golden, weaknesses if options.check else None)
    GOLDENS.write_text(json.dumps(merged(models), separators=(",", ":"), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
