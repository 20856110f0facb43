"""The nodes over queries and passages, from retrieval to compression. Each takes its combinations and what the nodes before have left."""

from __future__ import annotations

import functools
from typing import Any

from proctor.autorag import strategy
from proctor.autorag.checked import Candidate, Checked, weights_of
from proctor.autorag.context import Context, Outcome, Steps
from proctor.autorag.dataset import Columns
from proctor.autorag.passages import (
    Hits,
    as_datetime,
    at_least,
    best_share,
    by_score,
    convex,
    fused,
    newest_first,
    normalized,
    recent,
    reciprocal_ranks,
    similar,
    together,
)


def by_retrieval(context: Context, checked: Checked, outcome: Outcome, places: list[int]) -> Steps:
    """Each combination's queries by each retrieval module of the strategy; the best module speaks for the combination."""
    queries = [one for i in places for one in outcome.results[i]["queries"]]
    truth = context.qa["retrieval_gt"] * len(places)
    models = [one.model for one in checked.helpers]
    found = yield from context.stages.retrieve("query_expansion-retrieval", models, queries, truth)
    out = {}
    for n, i in enumerate(places):
        columns = []
        for helper, lists in zip(checked.helpers, found, strict=True):
            mine = lists[n * context.rows:(n + 1) * context.rows]
            columns.append(context.metric_columns(checked.metrics, [together(one, helper.params["top_k"]).ids for one in mine]))
        out[i] = columns[strategy.best(columns, checked.best_by)]
    return out


def retrieve(context: Context, checked: Checked, previous: Columns) -> Steps:
    queries = previous.get("queries") or [[one] for one in previous["query"]]
    models = [one.model for one in checked.candidates]
    found = yield from context.stages.retrieve(checked.node.type, models, queries, context.qa["retrieval_gt"])
    results = [passage_columns([merged(context, one, lists) for lists in rows]) for one, rows in zip(checked.candidates, found, strict=True)]
    return context.outcome_of(checked, results, [context.stages.seconds(model) for model in models])


def merged(context: Context, candidate: Candidate, lists: list[Hits]) -> Hits:
    """With the scores that the candidate's database would give."""
    hits = together(lists, candidate.params["top_k"])
    database = context.config.vectordbs.get(candidate.params.get("vectordb", ""), {})
    return Hits(hits.ids, hits.contents, [database_score(database, one) for one in hits.scores]) if database else hits


def fuse(context: Context, checked: Checked, previous: Columns) -> Steps:
    """Every weight of each module is tried; the best by the strategy, by default normalize_mean, speaks for it."""
    yield from ()
    outcome = context.outcome_of(checked, [], [])
    for i, one in enumerate(checked.candidates):
        (weight, columns), seconds = context.here(f"hybrid_retrieval/{i}", functools.partial(best_weight, context, checked, one, previous))
        outcome.results.append(columns)
        outcome.seconds.append(seconds / context.rows)
        outcome.shown[i]["weight"] = weight
    return outcome


def best_weight(context: Context, checked: Checked, candidate: Candidate, previous: Columns) -> tuple[float, Columns]:
    rows = list(zip(previous["retrieved_ids_semantic"], previous["retrieve_scores_semantic"], previous["retrieved_ids_lexical"],
                    previous["retrieve_scores_lexical"], strict=True))
    params, weights = candidate.params, weights_of(candidate.combo)
    if candidate.combo.type.name == "hybrid_rrf":
        swept = [[fused(reciprocal_ranks(((si, ss), (li, ls)), int(weight)), params["top_k"]) for si, ss, li, ls in rows] for weight in weights]
    else:
        minimums = (params.get("semantic_theoretical_min_value", -1.0), params.get("lexical_theoretical_min_value", 0.0))
        scaled = [normalized(((si, ss), (li, ls)), params.get("normalize_method", "mm"), minimums) for si, ss, li, ls in rows]
        swept = [[fused(convex(one, weight), params["top_k"]) for one in scaled] for weight in weights]
    measured = [context.metric_columns(checked.metrics, [ids for ids, _ in lists]) for lists in swept]
    best = strategy.best(measured, checked.node.strategy.get("strategy", "normalize_mean"))
    lists = swept[best]
    return weights[best], passage_columns([Hits(ids, context.corpus.contents_of(ids), scores) for ids, scores in lists])


def rerank(context: Context, checked: Checked, previous: Columns) -> Steps:
    hits = context.hits(previous)
    models = [one.model for one in checked.candidates if one.model]
    scored: dict[int, list[list[float]]] = {}
    if models:
        answers = yield from context.stages.rerank("passage_reranker", models, previous["query"], [one.contents for one in hits])
        scored = dict(zip([i for i, one in enumerate(checked.candidates) if one.model], answers, strict=True))
    results, seconds = [], []
    for i, one in enumerate(checked.candidates):
        if one.model:
            ordered = [reordered(one, row, scores) for row, scores in zip(hits, scored[i], strict=True)]
            spent = context.stages.seconds(one.model)
        elif one.combo.type.name == "time_reranker":
            ordered, spent = [newest_first(row, context.times(row)) for row in hits], 0.0
        else:
            ordered, spent = hits, 0.0
        results.append(passage_columns([row.first(one.params["top_k"]) for row in ordered]))
        seconds.append(spent)
    return context.outcome_of(checked, results, seconds)


def augment(context: Context, checked: Checked, previous: Columns) -> Steps:
    hits = context.hits(previous)
    wider = {i: [with_neighbours(context, row.ids, one.params) for row in hits] for i, one in enumerate(checked.candidates) if one.model}
    cosines = yield from cosines_of(context, "passage_augmenter", checked, previous, {i: [context.corpus.contents_of(ids) for ids in rows] for i, rows in wider.items()})
    results = []
    for i, one in enumerate(checked.candidates):
        rows = hits
        if one.model:
            rows = [Hits(ids, context.corpus.contents_of(ids), near) for ids, near in zip(wider[i], cosines[i], strict=True)]
            rows = [row.pick(by_score(row.scores)) for row in rows]
        results.append(passage_columns([row.first(one.params["top_k"]) for row in rows]))
    return context.outcome_of(checked, results, context.model_seconds(checked))


def with_neighbours(context: Context, ids: list[str], params: dict[str, Any]) -> list[str]:
    """A neighbour that the corpus does not have ends the row on that side."""
    def walk(one: str, key: str) -> list[str]:
        found: list[str] = []
        for _ in range(params.get("num_passages", 1)):
            following = context.corpus.metadata_of(one).get(key)
            if following not in context.corpus.places:
                break
            found.append(one := following)
        return found

    mode, out = params.get("mode", "both"), []
    for one in ids:
        out += [*(walk(one, "prev_id")[::-1] if mode != "next" else []), one, *(walk(one, "next_id") if mode != "prev" else [])]
    return out


def cosines_of(context: Context, name: str, checked: Checked, previous: Columns, contents: dict[int, list[list[str]]]) -> Steps:
    """By the number of the candidate."""
    if not contents:
        return {}
    models = [checked.candidates[i].model for i in contents]
    answers = yield from context.stages.cosines(name, models, previous["query"], list(contents.values()))
    return dict(zip(contents, answers, strict=True))


def filter(context: Context, checked: Checked, previous: Columns) -> Steps:
    hits = context.hits(previous)
    contents = {i: [row.contents for row in hits] for i, one in enumerate(checked.candidates) if one.model}
    cosines = yield from cosines_of(context, "passage_filter", checked, previous, contents)
    results = []
    for i, one in enumerate(checked.candidates):
        kept = [filtered(context, one, row, hits[0], cosines[i][r] if one.model else []) if row.ids else row for r, row in enumerate(hits)]
        results.append(passage_columns(kept))
    return context.outcome_of(checked, results, context.model_seconds(checked))


def filtered(context: Context, candidate: Candidate, row: Hits, first: Hits, cosines: list[float]) -> Hits:
    params = candidate.params
    match candidate.combo.type.name:
        case "threshold_cutoff":
            return at_least(row, params["threshold"], bool(params.get("reverse", False)))
        case "percentile_cutoff":  # of the first row, as in AutoRAG
            return best_share(row, max(1, int(len(first.ids) * params["percentile"])), bool(params.get("reverse", False)))
        case "similarity_threshold_cutoff":
            return similar(row, cosines, params["threshold"])
        case "similarity_percentile_cutoff":
            return row.pick(by_score(cosines)[:max(1, int(len(cosines) * params["percentile"]))])
        case "recency_filter":
            return recent(row, context.times(row), as_datetime(params["threshold_datetime"]))
    return row


def compress(context: Context, checked: Checked, previous: Columns) -> Steps:
    contents = context.passages(previous, "retrieved_contents")
    models = [one.model for one in checked.candidates if one.model]
    answers = iter((yield from context.stages.compress("passage_compressor", models, previous["query"], contents)) if models else [])
    results: list[Columns] = [{"retrieved_contents": [[text] for text in next(answers)] if one.model else contents} for one in checked.candidates]
    return context.outcome_of(checked, results, context.model_seconds(checked))


def passage_columns(rows: list[Hits]) -> Columns:
    return {"retrieved_contents": [row.contents for row in rows], "retrieved_ids": [row.ids for row in rows], "retrieve_scores": [row.scores for row in rows]}


def reordered(candidate: Candidate, row: Hits, scores: list[float]) -> Hits:
    """The best first. UPR's are AutoRAG's negative log-likelihoods, of which less is better."""
    order = by_score(scores)
    sign = -1.0 if candidate.combo.type.name == "upr" else 1.0
    return Hits([row.ids[i] for i in order], [row.contents[i] for i in order], [sign * scores[i] for i in order])


def database_score(database: dict[str, Any], cosine: float) -> float:
    """Of unit vectors, as the database would give it: their squared distance is 2 - 2 cos."""
    kind, metric = database.get("db_type", "chroma"), database.get("similarity_metric", "cosine")
    if metric == "l2":
        distance = 2 - 2 * cosine
        return 1 - distance if kind == "chroma" else -distance
    return -(1 - cosine) if metric == "ip" and kind == "weaviate" else cosine
