"""A sample line in fewer words: what every format takes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proctor.results import Row, Run


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass
class Sample:
    """Of one document and filter. `prompts`: the different ones of its requests; `choices`: what was scored after them; `answer`: what was taken of the
    responses, of choices the likeliest; `values`: its metrics that are numbers."""

    module: str
    task: str
    document: int
    filter: str
    row: Row
    prompts: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    target: str = ""
    responses: list[str] = field(default_factory=list)
    answer: str = ""
    error: str | None = None
    truncated: int = 0
    unfinished: int = 0
    values: dict[str, float] = field(default_factory=dict)


def likeliest(filtered: Any) -> int | None:
    """Of choices that were scored; None where these are none."""
    if not isinstance(filtered, list) or len(filtered) < 2 or not all(isinstance(one, list) and len(one) == 2 for one in filtered):
        return None
    scores = [float(one[0]) for one in filtered]
    return scores.index(max(scores))


def answer_of(line: Row, choices: list[str]) -> str:
    if line.get("ranking"):
        first = line["ranking"][0]
        return as_text(first[0] if isinstance(first, list) else first)
    filtered = line.get("filtered_resps")
    best = likeliest(filtered)
    if best is not None and best < len(choices):
        return choices[best]
    if not filtered:
        return ""
    return as_text(filtered[0][0] if isinstance(filtered[0], list) and filtered[0] else filtered[0])  # of one continuation its log-likelihood


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sample_of(line: Row, metrics: set[str]) -> Sample:
    """`metrics`: names of its task's figures, besides those that the line lists."""
    requests = list(line.get("arguments", {}).values())
    choices = [request["arg_1"] for request in requests if isinstance(request.get("arg_1"), str)]
    names = [*dict.fromkeys([*line.get("metrics", []), *sorted(metrics)])]
    return Sample(
        module=line["module"],
        task=line["task"],
        document=line["doc_id"],
        filter=line.get("filter", "none"),
        row=line.get("doc", {}),
        prompts=list(dict.fromkeys(request["arg_0"] for request in requests if isinstance(request.get("arg_0"), str))),
        choices=choices if len(choices) == len(requests) else [],
        target=as_text(line.get("target", "")),
        responses=[as_text(one) for group in line.get("resps") or [] for one in (group if isinstance(group, list) else [group])],
        answer=answer_of(line, choices) if "error" not in line else "",
        error=line.get("error"),
        truncated=int(line.get("truncated", 0)),
        unfinished=int(line.get("unfinished_reasoning", 0)),
        values={name: float(line[name]) for name in names if is_number(line.get(name))},
    )


def metric_names(results: Row) -> dict[str, set[str]]:
    """Of each task of a results file."""
    return {task: {name for key in values if (name := key.rpartition(",")[0]) and not name.endswith("_stderr")} for task, values in results["results"].items()}


def samples(run: Run, module: str | None = None, task: str | None = None) -> Iterator[Sample]:
    names: dict[str, dict[str, set[str]]] = {}
    known = set(run.modules())
    for line in run.samples(module, task):
        of_module = line["module"]
        if of_module not in names:
            names[of_module] = metric_names(run.results(of_module)) if of_module in known else {}
        yield sample_of(line, names[of_module].get(line["task"], set()))
