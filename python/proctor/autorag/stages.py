"""What a step asks of models: a suite of its own, which proctor runs, and its answers.

The functions are generators: they yield the stages to run and return what came of them. Modules alike are one module of the suite, so that
combinations that differ in top_k, say, load and compute once.
"""

from __future__ import annotations

import collections
import functools
import itertools
import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proctor.autorag.catalogue import Model
from proctor.autorag.dataset import Columns, Corpus
from proctor.autorag.errors import ConfigError
from proctor.autorag.files import write_json, write_lines
from proctor.autorag.passages import Hits
from proctor.results import Run
from proctor.whole_files import write_text

MOST_HITS = 100  # of a ranking, as many as its sample line has
Row = dict[str, Any]


@dataclass
class Stage:
    """A suite's folder, complete when it is yielded; its run is in `folder`/run."""

    folder: Path
    modules: dict[str, Model]
    tasks: dict[str, int]  # of each module, how many

    @property
    def suite(self) -> Path:
        return self.folder / "suite.yaml"

    @property
    def out(self) -> Path:
        return self.folder / "run"

    def name_of(self, model: Model) -> str:
        return next(name for name, one in self.modules.items() if one.module == model.module)

    @functools.cached_property
    def seconds(self) -> dict[str, float]:
        """Of each module, loading and computing over all of its visits, shared alike by its tasks; of one without a model nothing."""
        spent = dict.fromkeys(self.modules, 0.0)
        for visit in Run(self.out).ledger():
            spent[visit["module"]] += ((visit["load_s"] or 0) + (visit["run_s"] or 0)) / self.tasks[visit["module"]]
        return spent

    def samples(self, name: str, task: str) -> list[Row]:
        rows = list(Run(self.out).samples(name, task))
        self.refuse_failed(name, rows)
        return rows

    def responses(self, name: str, task: str) -> list[Row]:
        rows = list(Run(self.out).responses(name, task))
        self.refuse_failed(name, rows)
        return rows

    def refuse_failed(self, name: str, rows: list[Row]) -> None:
        failed = [row for row in rows if row.get("error")]
        if failed:
            raise ConfigError(f"{self.modules[name].module.get('path', name)}: {len(failed)} of {len(rows)} requests failed "
                              f"({failed[0]['error']}); see proctor show {self.out} --failures")


Step = Generator[Stage, None, Any]


@dataclass
class Stages:
    """Makes them, one folder each, in the order in which they are asked for: a trial that is taken up again asks the same."""

    root: Path
    corpus: Corpus
    folder_of: Callable[[str], str]  # of a model's name
    dtype: str = ""
    count: int = 0
    last: Stage | None = None

    def stage(self, name: str, models: list[Model], tasks: dict[str, Row]) -> Stage:
        """`tasks` are answered by every module, but those of a task of its own (`only`)."""
        folder = self.next_folder(name)
        self.count += 1
        named = dict(zip(names_of(models), models, strict=True))
        modules, counts = [], {}
        for key, model in named.items():
            only = [task for task, row in tasks.items() if row.get("only") in (None, model)]
            counts[key] = len(only)
            keys = dict(model.module)
            if "path" in keys:
                keys["path"] = self.folder_of(keys["path"])
                if self.dtype:
                    keys.setdefault("dtype", self.dtype)
            modules.append({"name": key, **keys, **({"tasks": only} if len(only) < len(tasks) else {})})
        for task, row in tasks.items():
            write_json(folder / f"{task}.yaml", {"task": task, **{key: value for key, value in row.items() if key != "only"}})
        write_json(folder / "suite.yaml", {"suite": name, "modules": modules, "tasks": [f"{task}.yaml" for task in tasks]})
        self.last = Stage(folder, named, counts)
        return self.last

    def next_folder(self, name: str) -> Path:
        return self.root / f"{self.count:02d}-{name}"

    # --- retrieval

    def retrieve(self, name: str, models: list[Model], queries: list[list[str]], truth: list[list[list[str]]]) -> Generator[Stage, None, list[list[list[Hits]]]]:
        """Of each model, row and query of it, the best hits of the whole corpus. Passages that BM25 does not rank follow with 0. Of equal scores the
        passage that stands later in the corpus comes first in BM25, the earlier one elsewhere: as in AutoRAG where its sorts are stable."""
        distinct = without_repeats(models)
        folder = self.next_folder(name)
        rows = [{"_id": f"{r}-{q}", "text": text} for r, texts in enumerate(queries) for q, text in enumerate(texts)]
        if not (whole := self.root / "corpus.jsonl").is_file():  # for all steps that search it
            write_lines(whole, [{"_id": self.passage_id(i), "text": text} for i, text in enumerate(self.corpus.contents)])
        write_lines(folder / "queries.jsonl", rows)
        write_text(folder / "qrels.tsv", "".join(self.judgments(queries, truth)))
        task = {"type": "retrieval", "data": {"corpus": "../corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"}, "query": "{{text}}",
                "document": "{{text}}", "metrics": [f"recall_{MOST_HITS}"]}
        stage = self.stage(name, distinct, {"find": task})
        yield stage
        found = {}
        for key, model in stage.modules.items():
            lines = {line["doc"]["_id"]: line["ranking"] for line in stage.samples(key, "find")}
            lexical = model.module["kind"] == "bm25"
            found[key] = [[self.hits(lines[f"{r}-{q}"], lexical) for q in range(len(texts))] for r, texts in enumerate(queries)]
        return [found[stage.name_of(model)] for model in models]

    def passage_id(self, place: int) -> str:
        """Of equal scores the greater id comes first."""
        return f"{place:09d}"

    def judgments(self, queries: list[list[str]], truth: list[list[list[str]]]) -> Iterator[str]:
        for r, (texts, groups) in enumerate(zip(queries, truth, strict=True)):
            known = sorted({self.corpus.places[one] for group in groups for one in group})
            for q in range(len(texts)):
                for place in known or [0]:  # a query without a judgment is not asked
                    yield f"{r}-{q}\t{self.passage_id(place)}\t{int(bool(known))}\n"

    def hits(self, ranking: list[list[Any]], lexical: bool) -> Hits:
        found = [(score, int(one)) for one, score in ranking]
        if lexical:
            ranked = {place for _, place in found}
            rest = (place for place in reversed(range(len(self.corpus.ids))) if place not in ranked)
            found += [(0.0, place) for place in itertools.islice(rest, MOST_HITS - len(found))]
        found.sort(key=lambda one: (-one[0], -one[1] if lexical else one[1]))
        return Hits([self.corpus.ids[i] for _, i in found], [self.corpus.contents[i] for _, i in found], [score for score, _ in found])

    # --- over passages

    def rerank(self, name: str, models: list[Model], queries: list[str], contents: list[list[str]]) -> Generator[Stage, None, list[list[list[float]]]]:
        """Of each model and row the scores of its passages, in their order."""
        distinct = without_repeats(models)
        folder = self.next_folder(name)
        rows = [list(numbered(row)) for row in contents]
        places = {one: str(i) for i, one in enumerate(dict.fromkeys(one for row in rows for one in row))}
        asked = [r for r, row in enumerate(rows) if row]
        lists = {r: [places[one] for one in rows[r]] for r in asked}
        if any(len(one) > MOST_HITS for one in lists.values()):
            raise ConfigError(f"{name}: a query has more than {MOST_HITS} passages; lower the top_k of the step before")
        write_lines(folder / "corpus.jsonl", [{"_id": place, "text": text} for (text, _), place in places.items()])
        write_lines(folder / "queries.jsonl", [{"_id": str(r), "text": queries[r]} for r in asked])
        write_lines(folder / "candidates.jsonl", [{"_id": str(r), "retrieved_ids": lists[r]} for r in asked])
        write_text(folder / "qrels.tsv", "".join(f"{r}\t{lists[r][0]}\t0\n" for r in asked))
        task = {"type": "rerank", "data": {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv", "candidates": "candidates.jsonl"},
                "query": "{{text}}", "document": "{{text}}", "metrics": ["ndcg_cut_10"]}
        stage = self.stage(name, distinct, {"order": task})
        yield stage
        scored = {}
        for key in stage.modules:
            of_row = {line["doc"]["_id"]: dict(line["ranking"]) for line in stage.samples(key, "order")}
            scored[key] = [[of_row[str(r)][places[one]] for one in row] for r, row in enumerate(rows)]
        return [scored[stage.name_of(model)] for model in models]

    def cosines(self, name: str, models: list[Model], queries: list[str], contents: list[list[list[str]]]) -> Generator[Stage, None, list[list[list[float]]]]:
        """Of each model and row the cosines of its query with its passages; `contents` has rows for each model."""
        distinct = without_repeats(models)
        folder = self.next_folder(name)
        wanted: dict[str, dict[tuple[int, str], int]] = {}
        tasks: dict[str, Row] = {}
        for i, one in enumerate(distinct):
            pairs: dict[tuple[int, str], int] = {}
            for model, rows in zip(models, contents, strict=True):
                if model == one:
                    for r, row in enumerate(rows):
                        for text in row:
                            pairs.setdefault((r, text), len(pairs))
            write_lines(folder / f"pairs{i}.jsonl", [{"a": queries[r], "b": text, "score": 0} for r, text in pairs])
            tasks[f"near{i}"] = {"type": "similarity", "data": f"pairs{i}.jsonl", "left": "{{a}}", "right": "{{b}}", "score": "{{score}}",
                                 "metrics": ["pearson"], "only": one}
            wanted[f"near{i}"] = pairs
        stage = self.stage(name, distinct, tasks)
        yield stage
        out = []
        for model, rows in zip(models, contents, strict=True):
            i = distinct.index(model)
            values = [line["cosine"] for line in stage.samples(stage.name_of(model), f"near{i}")]
            pairs = wanted[f"near{i}"]
            out.append([[values[pairs[r, text]] for text in row] for r, row in enumerate(rows)])
        return out

    def compress(self, name: str, models: list[Model], queries: list[str], contents: list[list[str]]) -> Generator[Stage, None, list[list[str]]]:
        """Of each model and row the text that its passages become."""
        folder = self.next_folder(name)
        distinct = without_repeats([Model(model.module) for model in models])
        write_lines(folder / "rows.jsonl", [{"question": query, "contexts": row} for query, row in zip(queries, contents, strict=True)])
        tasks: dict[str, Row] = {}
        of_model = []
        for model in models:
            target = model.task["target_tokens"]
            key = f"shorten{target}-{distinct.index(Model(model.module))}"
            tasks[key] = {"type": "compress", "data": "rows.jsonl", "question": "{{question}}", "contexts": "{{contexts}}", "target_tokens": target,
                          "only": Model(model.module)}
            of_model.append(key)
        stage = self.stage(name, distinct, tasks)
        yield stage
        return [[line["filtered_resps"][0] for line in stage.samples(stage.name_of(model), key)]
                for model, key in zip(models, of_model, strict=True)]

    # --- generation

    def generate(self, name: str, models: list[Model], prompts: list[list[str]]) -> Generator[Stage, None, list[Columns]]:
        """Of each model the texts that follow its prompts: generated_texts, generated_tokens, generated_log_probs."""
        folder = self.next_folder(name)
        distinct = without_repeats([Model(model.module) for model in models])
        tasks: dict[str, Row] = {}
        of_model = []
        written: dict[str, str] = {}
        for model, texts in zip(models, prompts, strict=True):
            asked = json.dumps([model.task, texts], sort_keys=True)
            if asked not in written:
                written[asked] = f"requests{len(written)}.jsonl"
                write_lines(folder / written[asked], [{"type": "generate_until", "context": text, "logprobs": True, **model.task} for text in texts])
            data = written[asked]
            key = f"{data.removesuffix('.jsonl')}-{distinct.index(Model(model.module))}"
            tasks[key] = {"type": "requests", "data": data, "only": Model(model.module)}
            of_model.append(key)
        stage = self.stage(name, distinct, tasks)
        yield stage
        out = []
        for model, key in zip(models, of_model, strict=True):
            rows = stage.responses(stage.name_of(model), key)
            out.append({"generated_texts": [row["text"] for row in rows], "generated_tokens": [row["token_ids"] for row in rows],
                        "generated_log_probs": [row["logprobs"] for row in rows]})
        return out

    def seconds(self, model: Model) -> float:
        """Of a model's module in the last stage, which has run."""
        assert self.last
        return self.last.seconds[self.last.name_of(model)]


def numbered(texts: list[str]) -> Iterator[tuple[str, int]]:
    """Each with how often it has come before: a list may hold a passage twice, and some models see the list."""
    seen: collections.Counter[str] = collections.Counter()
    for text in texts:
        yield text, seen[text]
        seen[text] += 1


def names_of(models: list[Model]) -> list[str]:
    """The last part of each model's path, or its kind; numbered where two would be alike."""
    names = [re.sub(r"[^\w.-]", "-", Path(one.module["path"]).name).lstrip(".") if "path" in one.module else one.module["kind"] for one in models]
    return [name or "model" if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names)]


def without_repeats(models: list[Model]) -> list[Model]:
    out: list[Model] = []
    for model in models:
        if model not in out:
            out.append(model)
    return out
