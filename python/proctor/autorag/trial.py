"""One trial: every node's combinations computed, measured and compared, the best handed to the next node, AutoRAG's files written on the way."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.autorag import metrics, strategy
from proctor.autorag.catalogue import Model
from proctor.autorag.checked import Candidate, Checked, filled, weights_of
from proctor.autorag.config import Config
from proctor.autorag.dataset import Columns, Corpus
from proctor.autorag.expansion import prompt_of, queries_of
from proctor.autorag.files import read_json, write_csv, write_json, write_parquet
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
from proctor.autorag.stages import Stage, Stages
from proctor.chat_templates import Template

Steps = Generator[Stage, None, Any]
PASSAGES = ("retrieved_contents", "retrieved_ids", "retrieve_scores")


@dataclass
class Outcome:
    """Of a node: its combinations' columns and seconds a row, and what its summary shows of each."""

    results: list[Columns]
    seconds: list[float]
    shown: list[dict[str, Any]]
    more: dict[str, list[Any]] = field(default_factory=dict)  # columns of the summary before the metrics


@dataclass
class Trial:
    config: Config
    checked: dict[str, Checked]
    qa: Columns
    corpus: Corpus
    folder: Path  # DIR/0
    stages: Stages
    started: datetime.datetime
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.qa["qid"])

    def run(self) -> Steps:
        """The trial's summary: a row for each node."""
        previous = dict(self.qa)
        summary: list[dict[str, Any]] = []
        for line in self.config.lines:
            best: list[dict[str, Any]] = []
            for node in line.nodes:
                previous, row = yield from self.node(self.checked[node.type], previous, self.folder / line.name / node.type)
                best.append(row)
            self.write_retrieval(self.folder / line.name, best, previous)
            write_csv(self.folder / line.name / "summary.csv", {key: [row[key] for row in best] for key in best[0]})
            summary += [{"node_line_name": line.name, **row} for row in best]
        write_csv(self.folder / "summary.csv", {key: [row[key] for row in summary] for key in summary[0]})
        return summary

    def write_retrieval(self, folder: Path, best: list[dict[str, Any]], previous: Columns) -> None:
        """What AutoRAG's dashboard takes for a line's retrieval node."""
        chosen = [row for row in best if row["node_type"].endswith("retrieval")]
        for i, row in enumerate(chosen):
            source = folder / row["node_type"] / row["best_module_filename"]
            (folder / "retrieval").mkdir(exist_ok=True)
            (folder / "retrieval" / f"{i}.parquet").write_bytes(source.read_bytes())
        if chosen:
            write_parquet(folder / "retrieval/best_0.parquet", previous)

    def node(self, checked: Checked, previous: Columns, folder: Path) -> Steps:
        kind = checked.node.type
        outcome = yield from HANDLERS[kind](self, checked, previous)
        evaluated = yield from self.evaluated(checked, previous, outcome)
        for i, columns in enumerate(outcome.results):
            own = columns if kind in ("prompt_maker", "query_expansion") else {**columns, **evaluated.get(i, {})}
            write_parquet(folder / f"{i}.parquet", own)
        best = self.best(checked, outcome, evaluated)
        after = self.after(checked, previous, outcome.results[best], evaluated.get(best, {}))
        write_parquet(folder / f"best_{best}.parquet", after)
        write_csv(folder / "summary.csv", self.summary(checked, outcome, evaluated, best))
        return after, {
            "node_type": kind,
            "best_module_filename": f"{best}.parquet",
            "best_module_name": checked.candidates[best].combo.type.class_name,
            "best_module_params": outcome.shown[best],
            "best_execution_time": outcome.seconds[best],
        }

    # --- the best

    def evaluated(self, checked: Checked, previous: Columns, outcome: Outcome) -> Steps:
        """Of each combination that takes part, its metrics' columns."""
        kind, places = checked.node.type, self.within_thresholds(checked, outcome)
        if kind in ("query_expansion", "prompt_maker"):
            if len(outcome.results) == 1:
                return {}
            by = self.by_retrieval if kind == "query_expansion" else self.by_generation
            return (yield from by(checked, previous, outcome, places))
        if kind == "generator":
            columns = yield from self.text_columns(checked.metrics, self.qa["generation_gt"], [one["generated_texts"] for one in outcome.results])
            return dict(enumerate(columns))
        found = "retrieved_contents" if kind == "passage_compressor" else "retrieved_ids"
        return {i: self.metric_columns(checked.metrics, columns[found]) for i, columns in enumerate(outcome.results)}

    def metric_columns(self, wanted: list[Any], found: list[Any]) -> Columns:
        return {metrics.named(one)[0]: metrics.rows_of(one, self.truth_of(metrics.named(one)[0]), found) for one in wanted}

    def text_columns(self, wanted: list[Any], truth: list[list[str]], lists: list[list[str]]) -> Steps:
        """Of each list of texts its metrics' columns; one that compares vectors asks an embedder."""
        columns: list[Columns] = [{} for _ in lists]
        for one in wanted:
            name, params = metrics.named(one)
            if name != metrics.BY_VECTORS:
                for out, texts in zip(columns, lists, strict=True):
                    out[name] = metrics.rows_of(one, truth, texts)
                continue
            rows = [(i, r) for i, texts in enumerate(lists) for r, text in enumerate(texts) if metrics.is_there(text) and metrics.is_there(truth[r])]
            (near,) = yield from self.stages.cosines(name, [metrics.embedder_of(params)], [lists[i][r] for i, r in rows], [[truth[r] for _, r in rows]])
            for out, texts in zip(columns, lists, strict=True):
                out[name] = [None] * len(texts)
            for (i, r), cosines in zip(rows, near, strict=True):
                columns[i][name][r] = max(cosines)
        return columns

    @functools.cached_property
    def truth_contents(self) -> list[list[list[str]]]:
        return [[self.corpus.contents_of(group) for group in groups] for groups in self.qa["retrieval_gt"]]

    def truth_of(self, metric: str) -> list[Any]:
        if metric in metrics.CONTENTS:
            return self.truth_contents
        return self.qa["retrieval_gt"] if metric in metrics.RETRIEVAL else self.qa["generation_gt"]

    def within_thresholds(self, checked: Checked, outcome: Outcome) -> list[int]:
        """Speed before tokens; where a threshold would leave none, it leaves all."""
        limits, everyone = checked.node.strategy, list(range(len(outcome.results)))
        kept = strategy.within(outcome.seconds, limits.get("speed_threshold"), everyone)
        if kept != everyone:
            self.tell(f"{checked.node.where}: speed_threshold leaves out {len(everyone) - len(kept)} of {len(everyone)} combinations: the choice hangs on measured seconds")
        tokens = next((values for name, values in outcome.more.items() if name.startswith("average_")), None)
        if "token_threshold" in limits and tokens is None:
            self.tell(f"{checked.node.where}: token_threshold: no tokens are counted here; it leaves out nothing")
            return kept
        return strategy.within(tokens, limits.get("token_threshold"), kept) if tokens is not None else kept

    def tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def best(self, checked: Checked, outcome: Outcome, evaluated: dict[int, Columns]) -> int:
        places = [i for i in self.within_thresholds(checked, outcome) if i in evaluated]
        return places[strategy.best([evaluated[i] for i in places], checked.best_by)] if places else 0

    def summary(self, checked: Checked, outcome: Outcome, evaluated: dict[int, Columns], best: int) -> Columns:
        kind, count = checked.node.type, len(outcome.results)
        bare = kind.endswith("retrieval") or kind == "generator"
        measured = {}
        if evaluated:
            for name in checked.metric_names:
                means = [strategy.mean(evaluated[i][name]) if i in evaluated else None for i in range(count)]
                measured[name if bare else f"{kind}_{name}"] = means
        return {
            "filename": [f"{i}.parquet" for i in range(count)],
            "module_name": [one.combo.type.class_name for one in checked.candidates],
            "module_params": outcome.shown,
            "execution_time": outcome.seconds,
            **outcome.more,
            **measured,
            "is_best": [i == best for i in range(count)],
        }

    def after(self, checked: Checked, previous: Columns, chosen: Columns, measured: Columns) -> Columns:
        """What the next node sees."""
        kind = checked.node.type
        prefixed = {f"{kind}_{name}": values for name, values in measured.items()}
        without_metrics = {name: values for name, values in previous.items() if name not in metrics.RETRIEVAL}
        if kind in ("lexical_retrieval", "semantic_retrieval"):
            return {**without_metrics, **{f"{name}_{kind.split('_')[0]}": values for name, values in chosen.items()}, **measured}
        if kind == "hybrid_retrieval":
            return {**without_metrics, **chosen, **measured}
        if kind in ("passage_augmenter", "passage_reranker", "passage_filter"):
            return {**{name: values for name, values in previous.items() if name not in PASSAGES}, **chosen, **prefixed}
        if kind in ("passage_compressor", "prompt_maker", "query_expansion"):
            return {**previous, **chosen, **prefixed}
        return {**previous, **chosen, **measured}

    # --- what nodes read

    def passages(self, previous: Columns, part: str) -> list[list[Any]]:
        """The present list of passages, or that of a retrieval node alone."""
        for suffix in ("", "_semantic", "_lexical"):
            if f"{part}{suffix}" in previous:
                return previous[f"{part}{suffix}"]
        raise KeyError(part)

    def hits(self, previous: Columns) -> list[Hits]:
        """A compressor's text stands for no passage, so that ids and contents part ways there: what follows takes the ids' own contents."""
        ids, scores = self.passages(previous, "retrieved_ids"), self.passages(previous, "retrieve_scores")
        contents = self.passages(previous, "retrieved_contents")
        return [Hits(list(i), list(c) if len(c) == len(i) else self.corpus.contents_of(i), list(s)) for i, c, s in zip(ids, contents, scores, strict=True)]

    def outcome_of(self, checked: Checked, results: list[Columns], seconds: list[float]) -> Outcome:
        return Outcome(results, [one / self.rows for one in seconds], [shown(one) for one in checked.candidates])

    def with_measured(self, checked: Checked, results: list[tuple[Columns, float]]) -> Outcome:
        return self.outcome_of(checked, [one for one, _ in results], [one for _, one in results])

    def here(self, key: str, compute: Callable[[], Any]) -> tuple[Any, float]:
        """What this process computes itself; its seconds are kept, so that a trial taken up again finds the same."""
        begin = time.perf_counter()
        value = compute()
        seconds = self.kept_seconds(key, time.perf_counter() - begin)
        return value, seconds

    def kept_seconds(self, key: str, measured: float) -> float:
        path = self.stages.root / "seconds.json"
        known = read_json(path, {})
        if key not in known:
            write_json(path, {**known, key: measured})
        return known.get(key, measured)

    # --- query expansion

    def expand(self, checked: Checked, previous: Columns) -> Steps:
        queries = previous["query"]
        writing = [(i, one) for i, one in enumerate(checked.candidates) if one.combo.type.name != "pass_query_expansion"]
        prompts = [[prompt_of(one.combo.type.name, one.params.get("prompt"), query) for query in queries] for _, one in writing]
        texts, seconds = yield from self.generate("query_expansion", [one for _, one in writing], prompts)
        expanded: list[list[list[str]]] = [[[query] for query in queries] for _ in checked.candidates]
        spent = [0.0] * len(checked.candidates)
        for (i, one), columns, cost in zip(writing, texts, seconds, strict=True):
            expanded[i] = [queries_of(one.combo.type.name, query, answer) for query, answer in zip(queries, columns["generated_texts"], strict=True)]
            spent[i] = cost
        return self.outcome_of(checked, [{"queries": one} for one in expanded], spent)

    def by_retrieval(self, checked: Checked, previous: Columns, outcome: Outcome, places: list[int]) -> Steps:
        """Each combination's queries by each retrieval module of the strategy; the best module speaks for the combination."""
        queries = [one for i in places for one in outcome.results[i]["queries"]]
        truth = self.qa["retrieval_gt"] * len(places)
        models = [one.model for one in checked.helpers]
        found = yield from self.stages.retrieve("query_expansion-retrieval", models, queries, truth)
        out = {}
        for n, i in enumerate(places):
            columns = []
            for helper, lists in zip(checked.helpers, found, strict=True):
                mine = lists[n * self.rows:(n + 1) * self.rows]
                columns.append(self.metric_columns(checked.metrics, [together(one, helper.params["top_k"]).ids for one in mine]))
            out[i] = columns[strategy.best(columns, checked.best_by)]
        return out

    # --- retrieval

    def retrieve(self, checked: Checked, previous: Columns) -> Steps:
        queries = previous.get("queries") or [[one] for one in previous["query"]]
        models = [one.model for one in checked.candidates]
        found = yield from self.stages.retrieve(checked.node.type, models, queries, self.qa["retrieval_gt"])
        results = [passage_columns([self.together(one, lists) for lists in rows]) for one, rows in zip(checked.candidates, found, strict=True)]
        return self.outcome_of(checked, results, [self.stages.seconds(model) for model in models])

    def together(self, candidate: Candidate, lists: list[Hits]) -> Hits:
        hits = together(lists, candidate.params["top_k"])
        database = self.config.vectordbs.get(candidate.params.get("vectordb", ""), {})
        return Hits(hits.ids, hits.contents, [database_score(database, one) for one in hits.scores]) if database else hits

    def fuse(self, checked: Checked, previous: Columns) -> Steps:
        """Every weight of each module is tried; the best by the strategy, by default normalize_mean, speaks for it."""
        yield from ()
        outcome = self.with_measured(checked, [])
        for i, one in enumerate(checked.candidates):
            (weight, columns), seconds = self.here(f"hybrid_retrieval/{i}", functools.partial(self.best_weight, checked, one, previous))
            outcome.results.append(columns)
            outcome.seconds.append(seconds / self.rows)
            outcome.shown[i]["weight"] = weight
        return outcome

    def best_weight(self, checked: Checked, candidate: Candidate, previous: Columns) -> tuple[float, Columns]:
        rows = list(zip(previous["retrieved_ids_semantic"], previous["retrieve_scores_semantic"], previous["retrieved_ids_lexical"],
                        previous["retrieve_scores_lexical"], strict=True))
        params, weights = candidate.params, weights_of(candidate.combo)
        if candidate.combo.type.name == "hybrid_rrf":
            swept = [[fused(reciprocal_ranks(((si, ss), (li, ls)), int(weight)), params["top_k"]) for si, ss, li, ls in rows] for weight in weights]
        else:
            minimums = (params.get("semantic_theoretical_min_value", -1.0), params.get("lexical_theoretical_min_value", 0.0))
            scaled = [normalized(((si, ss), (li, ls)), params.get("normalize_method", "mm"), minimums) for si, ss, li, ls in rows]
            swept = [[fused(convex(one, weight), params["top_k"]) for one in scaled] for weight in weights]
        measured = [self.metric_columns(checked.metrics, [ids for ids, _ in lists]) for lists in swept]
        best = strategy.best(measured, checked.node.strategy.get("strategy", "normalize_mean"))
        lists = swept[best]
        return weights[best], passage_columns([Hits(ids, self.corpus.contents_of(ids), scores) for ids, scores in lists])

    # --- passages

    def rerank(self, checked: Checked, previous: Columns) -> Steps:
        hits = self.hits(previous)
        models = [one.model for one in checked.candidates if one.model]
        scored: dict[int, list[list[float]]] = {}
        if models:
            answers = yield from self.stages.rerank("passage_reranker", models, previous["query"], [one.contents for one in hits])
            scored = dict(zip([i for i, one in enumerate(checked.candidates) if one.model], answers, strict=True))
        results, seconds = [], []
        for i, one in enumerate(checked.candidates):
            if one.model:
                ordered = [reordered(one, row, scores) for row, scores in zip(hits, scored[i], strict=True)]
                spent = self.stages.seconds(one.model)
            elif one.combo.type.name == "time_reranker":
                ordered, spent = [newest_first(row, self.times(row)) for row in hits], 0.0
            else:
                ordered, spent = hits, 0.0
            results.append(passage_columns([row.pick(range(min(one.params["top_k"], len(row.ids)))) for row in ordered]))
            seconds.append(spent)
        return self.outcome_of(checked, results, seconds)

    def times(self, hits: Hits) -> list[datetime.datetime]:
        return [as_datetime(self.corpus.metadata_of(one)["last_modified_datetime"]) for one in hits.ids]

    def augment(self, checked: Checked, previous: Columns) -> Steps:
        hits = self.hits(previous)
        wider = {i: [self.with_neighbours(row.ids, one.params) for row in hits] for i, one in enumerate(checked.candidates) if one.model}
        cosines = yield from self.cosines("passage_augmenter", checked, previous, {i: [self.corpus.contents_of(ids) for ids in rows] for i, rows in wider.items()})
        results = []
        for i, one in enumerate(checked.candidates):
            rows = hits
            if one.model:
                rows = [Hits(ids, self.corpus.contents_of(ids), near) for ids, near in zip(wider[i], cosines[i], strict=True)]
                rows = [row.pick(by_score(row.scores)) for row in rows]
            results.append(passage_columns([row.pick(range(min(one.params["top_k"], len(row.ids)))) for row in rows]))
        return self.outcome_of(checked, results, self.model_seconds(checked))

    def with_neighbours(self, ids: list[str], params: dict[str, Any]) -> list[str]:
        """A neighbour that the corpus does not have ends the row on that side."""
        def walk(one: str, key: str) -> list[str]:
            found: list[str] = []
            for _ in range(params.get("num_passages", 1)):
                following = self.corpus.metadata_of(one).get(key)
                if following not in self.corpus.places:
                    break
                found.append(one := following)
            return found

        mode, out = params.get("mode", "both"), []
        for one in ids:
            out += [*(walk(one, "prev_id")[::-1] if mode != "next" else []), one, *(walk(one, "next_id") if mode != "prev" else [])]
        return out

    def cosines(self, name: str, checked: Checked, previous: Columns, contents: dict[int, list[list[str]]]) -> Steps:
        """By the number of the candidate."""
        if not contents:
            return {}
        models = [checked.candidates[i].model for i in contents]
        answers = yield from self.stages.cosines(name, models, previous["query"], list(contents.values()))
        return dict(zip(contents, answers, strict=True))

    def model_seconds(self, checked: Checked) -> list[float]:
        return [self.stages.seconds(one.model) if one.model else 0.0 for one in checked.candidates]

    def filter(self, checked: Checked, previous: Columns) -> Steps:
        hits = self.hits(previous)
        contents = {i: [row.contents for row in hits] for i, one in enumerate(checked.candidates) if one.model}
        cosines = yield from self.cosines("passage_filter", checked, previous, contents)
        results = []
        for i, one in enumerate(checked.candidates):
            kept = [self.filtered(one, row, hits[0], cosines[i][r] if one.model else []) if row.ids else row for r, row in enumerate(hits)]
            results.append(passage_columns(kept))
        return self.outcome_of(checked, results, self.model_seconds(checked))

    def filtered(self, candidate: Candidate, row: Hits, first: Hits, cosines: list[float]) -> Hits:
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
                return recent(row, self.times(row), as_datetime(params["threshold_datetime"]))
        return row

    def compress(self, checked: Checked, previous: Columns) -> Steps:
        contents = self.passages(previous, "retrieved_contents")
        models = [one.model for one in checked.candidates if one.model]
        answers = iter((yield from self.stages.compress("passage_compressor", models, previous["query"], contents)) if models else [])
        results: list[Columns] = [{"retrieved_contents": [[text] for text in next(answers)] if one.model else contents} for one in checked.candidates]
        return self.outcome_of(checked, results, self.model_seconds(checked))

    # --- prompts and generators

    def make_prompts(self, checked: Checked, previous: Columns) -> Steps:
        yield from ()
        contents = self.passages(previous, "retrieved_contents")
        made = [self.here(f"prompt_maker/{i}", functools.partial(self.prompts, one, previous, contents)) for i, one in enumerate(checked.candidates)]
        outcome = self.with_measured(checked, [({"prompts": prompts}, seconds) for prompts, seconds in made])
        tokens = self.prompt_tokens(checked, outcome)
        outcome.more = {"average_prompt_token": tokens} if tokens else {}
        return outcome

    def prompts(self, candidate: Candidate, previous: Columns, contents: list[list[str]]) -> list[Any]:
        name, prompt = candidate.combo.type.name, candidate.params["prompt"]
        out = []
        for r, (query, texts) in enumerate(zip(previous["query"], contents, strict=True)):
            texts = list(texts)
            if name == "long_context_reorder":
                scores = self.passages(previous, "retrieve_scores")[r]
                if scores and len(scores) == len(texts):
                    texts.append(texts[by_score(scores)[0]])
            elif name == "window_replacement":
                ids = self.passages(previous, "retrieved_ids")[r]
                if len(ids) == len(texts):
                    texts = [self.corpus.metadata_of(one).get("window") or text for one, text in zip(ids, texts, strict=True)]
            out.append([{**one, "content": filled(one["content"], query, texts)} for one in prompt] if name == "chat_fstring" else filled(prompt, query, texts))
        return out

    def prompt_tokens(self, checked: Checked, outcome: Outcome) -> list[float]:
        """By the strategy's `tokenizer`, a folder; without one nothing is counted (AutoRAG downloads one)."""
        folder = checked.node.strategy.get("tokenizer")
        if not folder:
            return []
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(Path(self.stages.folder_of(folder)) / "tokenizer.json"))
        texts = [[one if isinstance(one, str) else "".join(part["content"] for part in one) for one in columns["prompts"]] for columns in outcome.results]
        return [sum(len(tokenizer.encode(one).ids) for one in rows) / self.rows for rows in texts]

    def by_generation(self, checked: Checked, previous: Columns, outcome: Outcome, places: list[int]) -> Steps:
        """All combinations' prompts by each generator of the strategy; the best generator over all of them speaks for each."""
        prompts = [one for i in places for one in outcome.results[i]["prompts"]]
        answers, _ = yield from self.generate("prompt_maker-generator", checked.helpers, [prompts] * len(checked.helpers))
        truth = self.qa["generation_gt"] * len(places)
        columns = yield from self.text_columns(checked.metrics, truth, [answer["generated_texts"] for answer in answers])
        best = columns[strategy.best(columns, checked.best_by)]
        return {i: {name: values[n * self.rows:(n + 1) * self.rows] for name, values in best.items()} for n, i in enumerate(places)}

    def answer(self, checked: Checked, previous: Columns) -> Steps:
        results, seconds = yield from self.generate("generator", checked.candidates, [previous["prompts"]] * len(checked.candidates))
        outcome = self.outcome_of(checked, results, seconds)
        outcome.more = {"average_output_token": [sum(map(len, columns["generated_tokens"])) / self.rows for columns in results]}
        return outcome

    def generate(self, name: str, candidates: list[Candidate], prompts: list[list[Any]]) -> Steps:
        """Of each candidate its columns and its seconds. Conversations are written by the model's chat template, texts stand as they are."""
        asked = [(i, *part) for i, one in enumerate(candidates) if one.model for part in self.parts_of(one, prompts[i])]
        results = [echoes(mine) if not one.model else {} for one, mine in zip(candidates, prompts, strict=True)]
        seconds = [0.0] * len(candidates)
        if not asked:
            return results, seconds
        answers = yield from self.stages.generate(name, [model for _, _, model, _ in asked], [texts for *_, texts in asked])
        for (i, places, model, _), columns in zip(asked, answers, strict=True):
            for key, values in columns.items():
                whole = results[i].setdefault(key, [None] * len(prompts[i]))
                for place, value in zip(places, values, strict=True):
                    whole[place] = value
            seconds[i] += self.stages.seconds(model)
        return results, seconds

    def parts_of(self, candidate: Candidate, prompts: list[Any]) -> Iterator[tuple[list[int], Model, list[str]]]:
        """Texts and conversations: their places, the model that is asked, what it is asked. A chat template writes its own beginning."""
        model = candidate.model
        assert model
        texts = [i for i, one in enumerate(prompts) if isinstance(one, str)]
        talks = [i for i, one in enumerate(prompts) if not isinstance(one, str)]
        if texts:
            yield texts, model, [prompts[i] for i in texts]
        if talks:
            template = Template(Path(self.stages.folder_of(model.module["path"])), None, self.started.date().isoformat())
            more = {"enable_thinking": bool(candidate.params.get("thinking", False)), **(candidate.params.get("chat_template_kwargs") or {})}
            written = [template.render({"messages": prompts[i], "add_generation_prompt": True, **more}) for i in talks]
            yield talks, Model({**model.module, "add_bos_token": False}, model.task), written


def shown(candidate: Candidate) -> dict[str, Any]:
    """As Python writes it: AutoRAG's readers take it as a literal, which a date is not."""
    return {key: value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else value.isoformat() if isinstance(value, datetime.date) else value
            for key, value in plain(candidate.combo.shown).items()}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


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


def echoes(prompts: list[Any]) -> Columns:
    """llama_index's mock model: the prompt again. Its tokens are its words, numbered."""
    texts = [one if isinstance(one, str) else "\n".join(f"{part['role']}: {part['content']}" for part in one) + "\nassistant: " for one in prompts]
    tokens = [list(range(len(text.split()))) for text in texts]
    return {"generated_texts": texts, "generated_tokens": tokens, "generated_log_probs": [[0.5] * len(one) for one in tokens]}


HANDLERS: dict[str, Callable[[Trial, Checked, Columns], Steps]] = {
    "query_expansion": Trial.expand,
    "lexical_retrieval": Trial.retrieve,
    "semantic_retrieval": Trial.retrieve,
    "hybrid_retrieval": Trial.fuse,
    "passage_augmenter": Trial.augment,
    "passage_reranker": Trial.rerank,
    "passage_filter": Trial.filter,
    "passage_compressor": Trial.compress,
    "prompt_maker": Trial.make_prompts,
    "generator": Trial.answer,
}
