#!/usr/bin/env python3
"""What llmlingua 0.2.2 keeps of passages, with a tiny model.

    make_compress_goldens.py > ../data/goldens/compress_goldens.json

Needs the oracle's environment (tools/compare_lm_eval says how it is made) with llmlingua==0.2.2 in it.
"""
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "support"), str(Path(__file__).parents[2] / "tools")]
import tiny_models  # noqa: E402
from llmlingua_side import compressor_of  # noqa: E402

WORDS = "the capital of France is Paris on a river where many people have lived for 2000 years and bridges were built".split()


def passages(seed, count, words):
    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) for _ in range(draw.randrange(words // 2, words))) + "." for _ in range(count)]


CASES = [{"passages": passages(1, 6, 60), "question": "where is Paris?", "target_tokens": 300},
         {"passages": passages(2, 4, 90), "question": "how old are the bridges of it", "target_tokens": 150},
         {"passages": passages(3, 1, 200), "question": "who", "target_tokens": 200},
         {"passages": ["short", "shorter"], "question": "why", "target_tokens": 100},
         {"passages": passages(4, 12, 30), "question": "what is on the river", "target_tokens": 700}]


def main():
    with tempfile.TemporaryDirectory() as root:
        tiny_models.main(root)
        compress = compressor_of(f"{root}/llama_long")
        cases = [{**case, "text": compress(case["passages"], case["question"], case["target_tokens"])} for case in CASES]
    print(json.dumps({"made_with": "llmlingua 0.2.2", "cases": cases}))


if __name__ == "__main__":
    main()
