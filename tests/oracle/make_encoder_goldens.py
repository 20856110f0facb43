#!/usr/bin/env python3
"""Token ids, vectors and scores of the tiny encoders by transformers 4.57.1 and torch 2.11.0 -> tests/data/goldens/encoder_goldens.json

    OMP_NUM_THREADS=1 make_encoder_goldens.py > ../data/goldens/encoder_goldens.json

Pooling as sentence-transformers has it: bert by its first token and normalised, roberta by the mean. Needs the oracle's
environment (tools/compare_lm_eval says how it is made), not the product's.
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

TEXTS = ["the capital of france", "a", "", "words, words and 12.5 more words that go on past what fits", "Ünïcode is Folded"]
MOST = {"bert": 24, "roberta": 64}
PAIRS = [["who", "the capital of france"], ["", "a"], ["a question that is rather long and goes on and on", "a passage that is longer still, so that both of them have to be cut"],
         ["short", "a passage that is so long that it is cut, while the question is not cut at all by anybody"]]

with tempfile.TemporaryDirectory() as root:
    tiny_models.main(root)
    goldens = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}", "texts": TEXTS, "models": {}, "pair_texts": PAIRS, "pairs": {}}
    for name in ("bert_pairs", "roberta_pairs"):
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{root}/{name}/tokenizer.json")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(f"{root}/{name}", dtype=torch.float32, attn_implementation="eager").eval()
        rows = []
        for first, second in PAIRS:
            encoded = tokenizer(first, second, truncation="longest_first", max_length=64)
            types = encoded["token_type_ids"] if name == "bert_pairs" else [0] * len(encoded["input_ids"])
            with torch.no_grad():
                logits = model(torch.tensor([encoded["input_ids"]]), token_type_ids=torch.tensor([types])).logits[0].double()
            rows.append({"ids": encoded["input_ids"], "score": float(logits[0] if name == "bert_pairs" else torch.softmax(logits, 0)[1])})
        goldens["pairs"][name] = rows
    for name in MOST:
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{root}/{name}/tokenizer.json")
        model = transformers.AutoModel.from_pretrained(f"{root}/{name}", dtype=torch.float32, attn_implementation="eager").eval()
        rows = []
        for text in TEXTS:
            encoded = tokenizer(text, truncation=True, max_length=MOST[name])
            ids = encoded["input_ids"]
            with torch.no_grad():
                states = model(torch.tensor([ids])).last_hidden_state[0].double()
            vector = torch.nn.functional.normalize(states[0], dim=0) if name == "bert" else states.mean(0)
            rows.append({"ids": ids, "vector": [round(x, 7) for x in vector.tolist()]})
        goldens["models"][name] = rows
    print(json.dumps(goldens))
