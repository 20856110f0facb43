"""The nodes that write texts: query expansion, prompts, generators, and the metrics of texts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proctor.autorag import metrics, strategy
from proctor.autorag.catalogue import Model
from proctor.autorag.checked import Candidate, Checked, filled
from proctor.autorag.context import Context, Outcome, Steps
from proctor.autorag.dataset import Columns
from proctor.autorag.expansion import prompt_of, queries_of
from proctor.autorag.passages import by_score
from proctor.chat_templates import Template


def text_columns(context: Context, wanted: list[Any], truth: list[list[str]], lists: list[list[str]]) -> Steps:
    """Of each list of texts its metrics' columns; one that compares vectors asks an embedder."""
    columns: list[Columns] = [{} for _ in lists]
    for one in wanted:
        name, params = metrics.named(one)
        if name != metrics.BY_VECTORS:
            for out, texts in zip(columns, lists, strict=True):
                out[name] = metrics.rows_of(one, truth, texts)
            continue
        rows = [(i, r) for i, texts in enumerate(lists) for r, text in enumerate(texts) if metrics.is_there(text) and metrics.is_there(truth[r])]
        (near,) = yield from context.stages.cosines(name, [metrics.embedder_of(params)], [lists[i][r] for i, r in rows], [[truth[r] for _, r in rows]])
        for out, texts in zip(columns, lists, strict=True):
            out[name] = [None] * len(texts)
        for (i, r), cosines in zip(rows, near, strict=True):
            columns[i][name][r] = max(cosines)
    return columns


def expand(context: Context, checked: Checked, previous: Columns) -> Steps:
    queries = previous["query"]
    writing = [(i, one) for i, one in enumerate(checked.candidates) if one.combo.type.name != "pass_query_expansion"]
    prompts = [[prompt_of(one.combo.type.name, one.params.get("prompt"), query) for query in queries] for _, one in writing]
    texts, seconds = yield from generate(context, "query_expansion", [one for _, one in writing], prompts)
    expanded: list[list[list[str]]] = [[[query] for query in queries] for _ in checked.candidates]
    spent = [0.0] * len(checked.candidates)
    for (i, one), columns, cost in zip(writing, texts, seconds, strict=True):
        expanded[i] = [queries_of(one.combo.type.name, query, answer) for query, answer in zip(queries, columns["generated_texts"], strict=True)]
        spent[i] = cost
    return context.outcome_of(checked, [{"queries": one} for one in expanded], spent)


def make_prompts(context: Context, checked: Checked, previous: Columns) -> Steps:
    yield from ()
    contents = context.passages(previous, "retrieved_contents")
    made = [context.here(f"prompt_maker/{i}", functools.partial(prompts_of, context, one, previous, contents)) for i, one in enumerate(checked.candidates)]
    outcome = context.outcome_of(checked, [{"prompts": prompts} for prompts, _ in made], [seconds for _, seconds in made])
    tokens = prompt_tokens(context, checked, outcome)
    outcome.more = {"average_prompt_token": tokens} if tokens else {}
    return outcome


def prompts_of(context: Context, candidate: Candidate, previous: Columns, contents: list[list[str]]) -> list[Any]:
    name, prompt = candidate.combo.type.name, candidate.params["prompt"]
    out = []
    for r, (query, texts) in enumerate(zip(previous["query"], contents, strict=True)):
        texts = list(texts)
        if name == "long_context_reorder":
            scores = context.passages(previous, "retrieve_scores")[r]
            if scores and len(scores) == len(texts):
                texts.append(texts[by_score(scores)[0]])
        elif name == "window_replacement":
            ids = context.passages(previous, "retrieved_ids")[r]
            if len(ids) == len(texts):
                texts = [context.corpus.metadata_of(one).get("window") or text for one, text in zip(ids, texts, strict=True)]
        out.append([{**one, "content": filled(one["content"], query, texts)} for one in prompt] if name == "chat_fstring" else filled(prompt, query, texts))
    return out


def prompt_tokens(context: Context, checked: Checked, outcome: Outcome) -> list[float]:
    """By the strategy's `tokenizer`, a folder; without one nothing is counted (AutoRAG downloads one)."""
    folder = checked.node.strategy.get("tokenizer")
    if not folder:
        return []
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(context.stages.folder_of(folder)) / "tokenizer.json"))
    texts = [[one if isinstance(one, str) else "".join(part["content"] for part in one) for one in columns["prompts"]] for columns in outcome.results]
    return [sum(len(tokenizer.encode(one).ids) for one in rows) / context.rows for rows in texts]


def by_generation(context: Context, checked: Checked, outcome: Outcome, places: list[int]) -> Steps:
    """All combinations' prompts by each generator of the strategy; the best generator over all of them speaks for each."""
    prompts = [one for i in places for one in outcome.results[i]["prompts"]]
    answers, _ = yield from generate(context, "prompt_maker-generator", checked.helpers, [prompts] * len(checked.helpers))
    truth = context.qa["generation_gt"] * len(places)
    columns = yield from text_columns(context, checked.metrics, truth, [answer["generated_texts"] for answer in answers])
    best = columns[strategy.best(columns, checked.best_by)]
    return {i: {name: values[n * context.rows:(n + 1) * context.rows] for name, values in best.items()} for n, i in enumerate(places)}


def answer(context: Context, checked: Checked, previous: Columns) -> Steps:
    results, seconds = yield from generate(context, "generator", checked.candidates, [previous["prompts"]] * len(checked.candidates))
    outcome = context.outcome_of(checked, results, seconds)
    outcome.more = {"average_output_token": [sum(map(len, columns["generated_tokens"])) / context.rows for columns in results]}
    return outcome


def generate(context: Context, name: str, candidates: list[Candidate], prompts: list[list[Any]]) -> Steps:
    """Of each candidate its columns and its seconds. Conversations are written by the model's chat template, texts stand as they are."""
    asked = [(i, *part) for i, one in enumerate(candidates) if one.model for part in parts_of(context, one, prompts[i])]
    results = [echoes(mine) if not one.model else {} for one, mine in zip(candidates, prompts, strict=True)]
    seconds = [0.0] * len(candidates)
    if not asked:
        return results, seconds
    answers = yield from context.stages.generate(name, [model for _, _, model, _ in asked], [texts for *_, texts in asked])
    for (i, places, model, _), columns in zip(asked, answers, strict=True):
        for key, values in columns.items():
            whole = results[i].setdefault(key, [None] * len(prompts[i]))
            for place, value in zip(places, values, strict=True):
                whole[place] = value
        seconds[i] += context.stages.seconds(model)
    return results, seconds


def parts_of(context: Context, candidate: Candidate, prompts: list[Any]) -> Iterator[tuple[list[int], Model, list[str]]]:
    """Texts and conversations: their places, the model that is asked, what it is asked. A chat template writes its own beginning."""
    model = candidate.model
    assert model
    texts = [i for i, one in enumerate(prompts) if isinstance(one, str)]
    talks = [i for i, one in enumerate(prompts) if not isinstance(one, str)]
    if texts:
        yield texts, model, [prompts[i] for i in texts]
    if talks:
        template = Template(Path(context.stages.folder_of(model.module["path"])), None, context.started.date().isoformat())
        more = {"enable_thinking": bool(candidate.params.get("thinking", False)), **(candidate.params.get("chat_template_kwargs") or {})}
        written = [template.render({"messages": prompts[i], "add_generation_prompt": True, **more}) for i in talks]
        yield talks, Model({**model.module, "add_bos_token": False}, model.task), written


def echoes(prompts: list[Any]) -> Columns:
    """llama_index's mock model: the prompt again. Its tokens are its words, numbered."""
    texts = [one if isinstance(one, str) else "\n".join(f"{part['role']}: {part['content']}" for part in one) + "\nassistant: " for one in prompts]
    tokens = [list(range(len(text.split()))) for text in texts]
    return {"generated_texts": texts, "generated_tokens": tokens, "generated_log_probs": [[0.5] * len(one) for one in tokens]}
