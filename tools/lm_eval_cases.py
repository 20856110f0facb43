"""The cases of tools/compare_lm_eval as data: documents, lm-eval's task and proctor's task that ask for the same prompts."""
from __future__ import annotations

import bz2
import csv
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

Row = dict[str, Any]
Splits = dict[str, list[Row]]
CountTokens = Callable[[list[str]], list[int]]
LETTERS = ["A", "B", "C", "D"]


@dataclass(frozen=True)
class Case:
    """One comparison; `wanted` is lm-eval's whole-process time over proctor's, by dtype."""

    name: str
    type: str  # proctor's type, which is lm-eval's output_type
    documents: int  # the first so many are evaluated; the rest of the file serves few-shot examples only
    wanted: dict[str, float]
    splits: Callable[[Path], Splits]
    prompt: str = ""
    choices: str | tuple[str, ...] = ""  # a field that holds a list, or the texts themselves
    answer: str = ""  # the field with the index of the right choice, or with the text to be generated
    text: str = ""  # rolling: the field with the page
    description: str = ""
    shots: int = 0
    sampler: str = "random"
    shots_from: str = "test"
    tokens: int = 0  # rolling: pages are taken until they have so many tokens
    max_length: int = 0  # on both sides; 0: the model's
    max_new_tokens: int = 0


def read_lines(path: Path) -> list[Row]:
    """JSON Lines; a blank line at the end is no row."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def mmlu(subject: str) -> Callable[[Path], Splits]:
    """Stripped here, because proctor's templates have no code for lm-eval's `question.strip()`."""

    def rows(path: Path) -> list[Row]:
        with open(path, encoding="utf-8", newline="") as file:
            return [{"question": r["question"].strip(), "choices": [r[f"choice{i}"] for i in range(4)],
                     "answer": int(r["answer"])} for r in csv.DictReader(file)]

    return lambda data: {"test": rows(data / f"mmlu/test/{subject}_test.csv"),
                         "examples": rows(data / f"mmlu/dev/{subject}_dev.csv")}


def gauntlet(name: str) -> Callable[[Path], Splits]:
    """The whole file, so that random examples come from as many rows as they do in earnest."""
    return lambda data: {"test": read_lines(data / f"gauntlet/{name}.jsonl")}


def hellaswag(data: Path) -> Splits:
    """Six lines an item: context, index of the right ending, four endings."""
    lines = bz2.decompress((data / "hellaswag/hellaswag_val_full.txt.bz2").read_bytes()).decode().split("\n")
    return {"test": [{"query": lines[i], "choices": lines[i + 2:i + 6], "gold": int(lines[i + 1])}
                     for i in range(0, len(lines) - 5, 6)]}


def gsm8k(data: Path) -> Splits:
    """Examples are the rows from 100 on: first_n takes 100 to 104; random draws from all, as it would from train."""
    rows = read_lines(data / "gsm8k/test.jsonl")
    return {"test": rows[:100], "examples": rows[100:]}


def wikitext(data: Path) -> Splits:
    """Pages begin at ` = Title = `; ` = = Section = = ` stays inside one."""
    text = (data / "wikitext2/test.txt").read_text(encoding="utf-8")
    pages = re.split(r"(?m)^(?= = [^=\n]+ = *$)", text)
    return {"test": [{"page": page.strip()} for page in pages if page.strip()]}


def mmlu_case(name: str, subject: str, float32: float, bfloat16: float) -> Case:
    """lm-eval's own MMLU prompt."""
    topic = subject.replace("_", " ")
    return Case(name, "multiple_choice", 100, {"float32": float32, "bfloat16": bfloat16}, mmlu(subject),
                prompt="{{question}}\n" + "".join(f"{x}. {{{{choices[{i}]}}}}\n" for i, x in enumerate(LETTERS)) + "Answer:",
                choices=tuple(LETTERS), answer="answer", shots=5, sampler="first_n", shots_from="examples",
                description=f"The following are multiple choice questions (with answers) about {topic}.\n\n")


def choice_case(name: str, documents: int, float32: float, bfloat16: float, splits: Callable[[Path], Splits],
                prompt: str = "{{query}}\nAnswer:", shots: int = 0) -> Case:
    """Rows with query, choices and gold."""
    return Case(name, "multiple_choice", documents, {"float32": float32, "bfloat16": bfloat16}, splits, prompt=prompt,
                choices="choices", answer="gold", shots=shots)


def gsm8k_case(name: str, sampler: str, float32: float, bfloat16: float) -> Case:
    """lm-eval's own gsm8k prompt, stops and filters, with 128 new tokens."""
    return Case(name, "generate_until", 32, {"float32": float32, "bfloat16": bfloat16}, gsm8k, answer="answer",
                prompt="Question: {{question}}\nAnswer:", shots=5, sampler=sampler, shots_from="examples", max_new_tokens=128)


CASES = [
    mmlu_case("mmlu_cs", "high_school_computer_science", 8, 6),
    mmlu_case("mmlu_algebra", "abstract_algebra", 5.5, 5),
    choice_case("hellaswag_0", 200, 3, 3, hellaswag, prompt="{{query}}"),
    choice_case("arc_0", 300, 3, 3, gauntlet("arc_easy")),
    choice_case("arc_5_random", 100, 3.5, 3.5, gauntlet("arc_easy"), shots=5),
    choice_case("boolq_0", 100, 1.8, 2.2, gauntlet("boolq")),
    Case("pages", "loglikelihood_rolling", 0, {"float32": 1.15, "bfloat16": 1.25}, wikitext, text="page", tokens=60000,
         max_length=2048),
    gsm8k_case("gsm8k_first", "first_n", 7, 6),
    gsm8k_case("gsm8k_random", "random", 2.2, 2.2),
]

STOPS = ["Question:", "</s>", "<|im_end|>"]
EXACT = {"ignore_case": True, "ignore_punctuation": False, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]}
FILTERS = [{"name": "strict-match", "filter": [{"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"},
                                               {"function": "take_first"}]},
           {"name": "flexible-extract", "filter": [{"function": "regex", "group_select": -1,
                                                    "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"},
                                                   {"function": "take_first"}]}]


def cut_pages(rows: list[Row], field: str, budget: int, count: CountTokens) -> list[Row]:
    """Whole pages up to the budget and the beginning of the one that passes it, so that the work has a known size."""
    chosen: list[Row] = []
    for row, tokens in zip(rows, count([row[field] for row in rows])):
        if tokens > budget:
            words = row[field].split(" ")
            chosen.append({field: " ".join(words[:max(1, len(words) * budget // tokens)])})
            break
        chosen.append(row)
        budget -= tokens
    return chosen


def lm_eval_metric(name: str, **options: Any) -> Row:
    """lm-eval wants aggregation and direction beside the name."""
    return {"metric": name, "aggregation": "mean", "higher_is_better": True, **options}


def lm_eval_task(case: Case, files: dict[str, str]) -> Row:
    """lm-eval's own format over local JSON files."""
    task: Row = {"task": case.name, "dataset_path": "json", "dataset_kwargs": {"data_files": files}, "test_split": "test",
                 "output_type": case.type, "doc_to_text": case.prompt, "description": case.description}
    if case.type == "multiple_choice":
        task |= {"doc_to_choice": case.choices if isinstance(case.choices, str) else list(case.choices),
                 "doc_to_target": case.answer, "metric_list": [lm_eval_metric("acc"), lm_eval_metric("acc_norm")]}
    elif case.type == "generate_until":
        task |= {"doc_to_target": f"{{{{{case.answer}}}}}", "metric_list": [lm_eval_metric("exact_match", **EXACT)],
                 "generation_kwargs": {"until": STOPS, "max_gen_toks": case.max_new_tokens, "do_sample": False},
                 "filter_list": FILTERS}
    else:
        task |= {"doc_to_target": f"{{{{{case.text}}}}}"}
    if case.shots:
        task |= {"num_fewshot": case.shots, "fewshot_split": case.shots_from}
        task |= {"fewshot_config": {"sampler": "first_n"}} if case.sampler == "first_n" else {}
    return task


def proctor_task(case: Case, files: dict[str, str]) -> Row:
    """The same task in proctor's format (docs/suite.md)."""
    task: Row = {"task": case.name, "type": case.type, "data": files}
    if case.type == "loglikelihood_rolling":
        return task | {"text": f"{{{{{case.text}}}}}"}
    task |= {"prompt": case.prompt, "description": case.description}
    if case.type == "multiple_choice":
        task |= {"choices": f"{{{{{case.choices}}}}}" if isinstance(case.choices, str) else list(case.choices),
                 "answer": f"{{{{{case.answer}}}}}", "metrics": ["acc", "acc_norm"]}
    else:
        task |= {"target": f"{{{{{case.answer}}}}}", "filters": FILTERS, "metrics": [{"exact_match": EXACT}],
                 "generation": {"until": STOPS, "max_gen_toks": case.max_new_tokens}}
    if case.shots:
        task["fewshot"] = {"count": case.shots, "sampler": case.sampler, "split": case.shots_from}
    return task


def token_counter(proctor: Path, model: Path) -> CountTokens:
    """By proctor's tokenizer, which needs no Python packages."""

    def count(texts: list[str]) -> list[int]:
        command = [str(proctor.with_name("proctor-worker")), "tokenize", str(model), "--no-special"]
        done = subprocess.run(command, input="".join(json.dumps(t) + "\n" for t in texts), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"proctor-worker tokenize failed (exit code {done.returncode}): {done.stderr.strip()}")
        return [len(json.loads(line)) for line in done.stdout.splitlines()]

    return count


def splits_of(case: Case, data: Path, scale: float, count: CountTokens) -> tuple[Splits, int]:
    """The rows and how many of them are evaluated at this scale; FileNotFoundError where the data folder lacks them."""
    splits = case.splits(data)
    if case.tokens:
        splits["test"] = cut_pages(splits["test"], case.text, round(case.tokens * scale), count)
        return splits, len(splits["test"])
    documents = min(len(splits["test"]), max(1, round(case.documents * scale)))
    if not case.shots or case.shots_from != "test":
        splits["test"] = splits["test"][:documents]  # neither side should load rows that nobody needs
    return splits, documents


def write_case(case: Case, splits: Splits, folder: Path, model: Path) -> None:
    """Documents, lm_eval/NAME.yaml, and proctor/NAME.yaml with a suite for each dtype. JSON is YAML too."""
    (folder / "lm_eval").mkdir(parents=True, exist_ok=True)
    (folder / "proctor").mkdir(exist_ok=True)
    files = {split: str(folder / f"{split}.jsonl") for split in splits}
    for split, rows in splits.items():
        Path(files[split]).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    (folder / "lm_eval" / f"{case.name}.yaml").write_text(json.dumps(lm_eval_task(case, files), indent=1))
    (folder / "proctor" / f"{case.name}.yaml").write_text(json.dumps(proctor_task(case, files), indent=1))
    for dtype in case.wanted:
        module = {"name": "model", "path": str(model), "dtype": dtype}
        module |= {"max_length": case.max_length} if case.max_length else {}
        suite = {"suite": case.name, "modules": [module], "tasks": [f"{case.name}.yaml"]}
        (folder / "proctor" / f"suite_{dtype}.yaml").write_text(json.dumps(suite, indent=1))
