"""A run as the metadata of model cards: MODULE.md a module, whose `model-index` the Hub shows as evaluation results
(https://huggingface.co/docs/hub/model-cards#evaluation-results). To be put at the head of the model's README.md, or read by huggingface_hub's ModelCard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proctor.results import Run
from proctor.whole_files import write_text

# A type of proctor's tasks -> the Hub's task (https://huggingface.co/tasks); every other is text generation.
HUB_TASKS = {"retrieval": "sentence-similarity", "similarity": "sentence-similarity", "rerank": "text-ranking"}


def quoted(value: Any) -> str:
    """A scalar as YAML: JSON's are."""
    return json.dumps(value, ensure_ascii=False)


def card(module: str, run: Run) -> str:
    results = run.results(module)
    lines = ["---", "model-index:", f"- name: {quoted(results.get('model_name') or module)}", "  results:"]
    for task in results["results"]:
        rows = [row for row in run.scores() if (row["module"], row["task"]) == (module, task) and isinstance(row["value"], (int, float))]
        if not rows:
            continue
        config = results.get("configs", {}).get(task, {})
        kind = HUB_TASKS.get(config.get("output_type", ""), "text-generation")
        place = config.get("dataset_path") or task
        lines += [f"  - task: {{type: {quoted(kind)}}}", f"    dataset: {{name: {quoted(task)}, type: {quoted(place)}}}", "    metrics:"]
        for row in rows:
            name = row["metric"] + ("" if row["filter"] == "none" else f", {row['filter']}") + (f", {row['n_shot']}-shot" if row["n_shot"] is not None else "")
            lines.append(f"    - {{type: {quoted(row['metric'])}, value: {quoted(row['value'])}, name: {quoted(name)}}}")
    return "\n".join([*lines, "---", "", f"# {module}", "", "Evaluated with proctor.", ""])


def write(run: Run, out: Path) -> list[Path]:
    written = []
    for module in run.modules():
        written.append(out / f"{module}.md")
        write_text(written[-1], card(module, run))
    return written
