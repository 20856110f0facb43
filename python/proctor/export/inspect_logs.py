"""A run as logs of Inspect (https://inspect.aisi.org.uk/eval-logs.html): one a module and task, for `inspect view --log-dir OUT`. Inspect need not be here.

What a model was asked is the sample's input, what was taken of its answer the score's answer; each metric is a scorer, with a filter `METRIC (FILTER)`.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from proctor.export.samples import Sample, samples
from proctor.results import Row, Run
from proctor.whole_files import write_text


def short(text: str) -> str:
    """22 letters that stand for a text, as Inspect's identifiers are long."""
    return hashlib.sha256(text.encode()).hexdigest()[:22]


def scorer(metric: str, filter_name: str) -> str:
    return metric if filter_name == "none" else f"{metric} ({filter_name})"


def sample_json(of_document: list[Sample], model: str) -> Row:
    """`of_document`: one a filter."""
    first = of_document[0]
    said = first.responses[0] if first.responses and not first.choices else first.answer
    prompt = "\n\n".join(first.prompts)
    message = {"role": "assistant", "content": said, "source": "generate", "model": model}
    return {
        "id": first.document,
        "epoch": 1,
        "input": prompt,
        **({"choices": first.choices} if first.choices else {}),
        "target": first.target,
        "messages": [{"role": "user", "content": prompt, "source": "input"}, message],
        "output": {"model": model, "choices": [{"message": message, "stop_reason": "stop"}], "completion": said},
        "scores": {scorer(name, one.filter): {"value": value, "answer": one.answer} for one in of_document for name, value in one.values.items()},
        "metadata": {"doc": first.row, "truncated": first.truncated, "unfinished_reasoning": first.unfinished},
        **({"error": {"message": first.error, "traceback": "", "traceback_ansi": ""}} if first.error else {}),
    }


def scores_json(values: Row, scored: dict[str, int], total: int) -> list[Row]:
    found = []
    for key, value in values.items():
        metric, comma, filter_name = key.rpartition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
            continue
        metrics: dict[str, Any] = {"mean": {"name": "mean", "value": value}}
        error = values.get(f"{metric}_stderr,{filter_name}")
        if isinstance(error, (int, float)):
            metrics["stderr"] = {"name": "stderr", "value": error}
        name = scorer(metric, filter_name)
        found.append({"name": name, "scorer": name, "scored_samples": scored.get(name, 0), "unscored_samples": total - scored.get(name, 0), "params": {}, "metrics": metrics})
    return found


def log_json(run: Run, module: str, task: str, results: Row, created: str) -> Row:
    documents: dict[int, list[Sample]] = {}
    for one in samples(run, module, task):
        documents.setdefault(one.document, []).append(one)
    listed = [sample_json(of_document, module) for of_document in documents.values()]
    scored: dict[str, int] = {}
    for sample in listed:
        for name in sample["scores"]:
            scored[name] = scored.get(name, 0) + 1
    failed = sum("error" in sample for sample in listed)
    number = short(f"{run.directory.resolve()}\n{module}\n{task}")
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": number, "run_id": short(str(run.directory.resolve())), "created": created, "task": task, "task_id": short(task),
            "task_version": str(results.get("versions", {}).get(task, 0)), "task_attribs": {}, "task_args": {},
            "dataset": {"name": task, "samples": len(listed), "sample_ids": [sample["id"] for sample in listed], "shuffled": False},
            "model": module, "model_args": {}, "config": {}, "packages": {}, "metadata": {"model_source": results.get("model_source"), "model_name": results.get("model_name")},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {"total_samples": len(listed), "completed_samples": len(listed) - failed, "scores": scores_json(results["results"].get(task, {}), scored, len(listed))},
        "stats": {"started_at": created, "completed_at": created, "model_usage": {}},
        "samples": listed,
    }


def write(run: Run, out: Path) -> list[Path]:
    created = datetime.datetime.fromtimestamp(int((run.directory / "status.json").stat().st_mtime), datetime.timezone.utc).isoformat()
    written = []
    for module in run.modules():
        results = run.results(module)
        for task in results["results"]:
            if not (run.directory / "samples" / module / f"{task}.jsonl").is_file():
                continue  # a group
            log = log_json(run, module, task, results, created)
            name = re.sub(r"[^\w\-]+", "-", f"{task}-{module}")
            path = out / f"{created.replace(':', '-')}_{name}_{log['eval']['eval_id']}.json"
            write_text(path, json.dumps(log, ensure_ascii=False))
            written.append(path)
    return written
