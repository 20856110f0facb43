"""Tasks of lmms-eval that are refused by name, before a request is made."""
from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from proctor.lm_eval.run import BridgeError

JUDGES = ("lmms_eval.llm_judge", "lmms_eval.verifiers.openai", "lmms_eval.verifiers.gemini", "openai", "anthropic", "google", "dashscope",
          "litellm", "requests", "httpx", "aiohttp")
OUTPUT_TYPES = {"generate_until": "", "multiple_choice": "",
                "loglikelihood": "whether it wants a loss or a log-likelihood is for each adapter to guess",
                "generate_until_multi_round": "its next question depends on the answer to the last",
                "generate_until_agentic": "its next question depends on the answer to the last",
                "generate_visual_cot": "its model draws pictures"}


def names_in(code: CodeType) -> Iterator[str]:
    """Those that it, or what is defined in it, may look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def belongs_to_judge(value: Any) -> bool:
    """Whether it is of a package by which a judge, or another service, is asked."""
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or type(value).__module__
    return any(module == judge or module.startswith(judge + ".") for judge in JUDGES)


def members_of(value: Any) -> dict[str, Any]:
    """Of a class, or of one of its objects; of a function and a module none."""
    if value is None or isinstance(value, (FunctionType, ModuleType)):
        return {}
    return {**vars(value if isinstance(value, type) else type(value)), **getattr(value, "__dict__", {})}


def is_of_tasks(function: FunctionType, file: dict[str, Any]) -> bool:
    """Of the same file, or of what lmms-eval's tasks share."""
    return function.__globals__ is file or function.__module__.startswith("lmms_eval.tasks.")


def reached(function: FunctionType, owner: Any) -> Iterator[tuple[Any, Any]]:
    """What a function may use, each with the object that has it: by the names in its code, in its file, in its own object and in the file's objects."""
    names = set(names_in(function.__code__))
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield value, None
        yield from ((member, value) for key, member in members_of(value).items() if key in names)
    yield from ((member, owner) for key, member in members_of(owner).items() if key in names)


def asks_a_judge(scorer: Any) -> bool:
    """Whether it, or what it may call of the tasks' own code, uses a judge's package. That its file imports one says nothing: tasks share files.
    It errs on the side of yes: which branch is taken is not known."""
    to_see, seen = [(getattr(scorer, "func", scorer), None)], set()
    while to_see:
        function, owner = to_see.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        for value, whose in reached(inspect.unwrap(function), owner):
            if value is not None and belongs_to_judge(value):
                return True
            if isinstance(value, FunctionType) and is_of_tasks(value, function.__globals__):
                to_see.append((value, whose))
    return False


def scorers_of(task: Any) -> list[Any]:
    """What lmms-eval calls with the answers."""
    aggregations = getattr(task, "_aggregation_list", {}) or {}
    return [task.config.process_results, *aggregations.values()]


def refusal(task: Any, is_simple: bool, allow_judge: bool) -> str:
    """Why it cannot be run; empty where it can."""
    kind, metrics = task.OUTPUT_TYPE, getattr(task, "_metric_fn_list", {})
    if reason := OUTPUT_TYPES.get(kind, "not known"):
        return f"{kind}: {reason}"
    if kind == "multiple_choice" and not is_simple:
        return "multiple_choice: lmms-eval asks for choices only with --force_simple; add it"
    if "acc_mutual_info" in metrics:
        return "acc_mutual_info: lmms-eval takes the highest difference of losses for the best; leave the metric out"
    if not allow_judge and "bypass" not in metrics and any(asks_a_judge(one) for one in scorers_of(task)):
        return ("its scoring may ask a judge or another service: --model_args ...,allow_judge=true lets lmms-eval do so, --predict_only keeps the "
                "answers unscored")
    return ""


def leaves(tasks: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Names and tasks below groups."""
    for name, task in tasks.items():
        if isinstance(task, Mapping):
            yield from leaves(task)
        else:
            yield str(name), task[1] if isinstance(task, tuple) else task


def refuse(tasks: Mapping[Any, Any], is_simple: bool, allow_judge: bool) -> None:
    """Raises BridgeError naming each task that cannot be run."""
    reasons = [f"{name}: {why}" for name, task in leaves(tasks) if task is not None and (why := refusal(task, is_simple, allow_judge))]
    if reasons:
        raise BridgeError("not run on proctor: " + "; ".join(reasons))
