#!/usr/bin/env python3
"""lm-eval 0.4.13's requests and scores of the rows in tests/data/benchmarks, with a model that needs no weights
-> tests/data/goldens/benchmark_goldens.json

    make_benchmark_goldens.py > ../data/goldens/benchmark_goldens.json      (in a venv with lm-eval==0.4.13)

The model's log-likelihood of a continuation is -10 x (the first 32 bits of SHA-256 of context, NUL, continuation) / 2^32;
its texts are listed in the file.
"""
import hashlib
import json
import logging
import random
import sys
from pathlib import Path

import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import simple_evaluate

DATA = Path(__file__).resolve().parents[1] / "data/benchmarks"
ACC = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
ACC_NORM = [*ACC, {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True}]
GSM8K = {
    "output_type": "generate_until",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "num_fewshot": 3,
    "generation_kwargs": {"until": ["Question:", "</s>"], "max_gen_toks": 64, "do_sample": False},
    "metric_list": [
        {
            "metric": "exact_match",
            "aggregation": "mean",
            "higher_is_better": True,
            "ignore_case": True,
            "ignore_punctuation": False,
            "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"],
        }
    ],
    "filter_list": [
        {"name": "strict-match", "filter": [{"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"}, {"function": "take_first"}]},
        {
            "name": "flexible-extract",
            "filter": [{"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"}, {"function": "take_first"}],
        },
    ],
}
TASKS = {
    "mmlu": {
        "description": "The following are multiple choice questions (with answers).\n\n",
        "doc_to_text": "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
        "doc_to_choice": ["A", "B", "C", "D"],
        "doc_to_target": "answer",
        "num_fewshot": 2,
        "metric_list": ACC_NORM,
    },
    "hellaswag": {"doc_to_text": "{{query}}", "doc_to_choice": "choices", "doc_to_target": "gold", "num_fewshot": 0, "metric_list": ACC_NORM},
    "boolq": {"doc_to_text": "{{query}}\nAnswer:", "doc_to_choice": "choices", "doc_to_target": "gold", "num_fewshot": 1, "metric_list": ACC},
    "copa": {"doc_to_text": "{{query}}", "doc_to_choice": "choices", "doc_to_target": "gold", "num_fewshot": 0, "metric_list": ACC_NORM},
    "winogrande": {
        "doc_to_text": lambda doc: doc["gold"],
        "doc_to_choice": lambda doc: doc["context_options"],
        "doc_to_target": lambda doc: doc["continuation"],
        "num_fewshot": 0,
        "metric_list": ACC,
    },
    "gsm8k": GSM8K,
}


def spoken(answer, index):
    """Right, right in other words, wrong, and nothing to be found."""
    number = answer.split("#### ")[1]
    return [f" So it is.\n#### {number}", f" The answer is ${number}.", " Nobody knows.\n#### 12", " I cannot say"][index % 4]


class Model(LM):
    def __init__(self, texts):
        super().__init__()
        self.texts = texts

    def loglikelihood(self, requests: list[Instance], disable_tqdm=False):
        def score(context, continuation):
            return -10 * int(hashlib.sha256(f"{context}\0{continuation}".encode()).hexdigest()[:8], 16) / 2**32

        return [(score(*request.args), False) for request in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def generate_until(self, requests, disable_tqdm=False):
        return [self.texts[i] for i in range(len(requests))]


def golden(name, config):
    rows = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [spoken(row["answer"], i) for i, row in enumerate(rows)] if name == "gsm8k" else []
    task = ConfigurableTask(
        config={
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(DATA / f"{name}.jsonl")}},
            "test_split": "test",
            "fewshot_split": "test",
            "output_type": "multiple_choice",
            **config,
        }
    )
    result = simple_evaluate(Model(texts), tasks=[task], num_fewshot=config["num_fewshot"], log_samples=True, bootstrap_iters=100, random_seed=0, numpy_random_seed=1234, torch_random_seed=1234, fewshot_random_seed=1234)
    samples = sorted(result["samples"][name], key=lambda sample: sample["doc_id"])
    first = samples[0]["filter"]
    arguments = [list(call[:2]) if name != "gsm8k" else [call[0]] for sample in samples if sample["filter"] == first for call in sample["arguments"]]
    metrics = {key: value for key, value in result["results"][name].items() if "," in key}
    text = json.dumps(arguments, ensure_ascii=False)
    return {"requests": len(arguments), "requests_sha256": hashlib.sha256(text.encode()).hexdigest(), "first": arguments[0], "texts": texts, "metrics": metrics}


def main():
    logging.disable(logging.WARNING)
    random.seed(0)
    goldens = {name: golden(name, config) for name, config in TASKS.items()}
    json.dump({"lm_eval": lm_eval.__version__, "tasks": goldens}, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
