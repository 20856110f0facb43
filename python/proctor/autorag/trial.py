"""One trial: every node's combinations computed, measured and compared, the best handed to the next node, AutoRAG's files written on the way."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proctor.autorag import metrics, passage_nodes, strategy, text_nodes
from proctor.autorag.checked import Checked
from proctor.autorag.context import Context, Outcome, Steps
from proctor.autorag.dataset import Columns
from proctor.autorag.files import write_csv, write_parquet
from proctor.autorag.passage_nodes import by_retrieval
from proctor.autorag.text_nodes import by_generation, text_columns
from proctor.whole_files import write_by

PASSAGES = ("retrieved_contents", "retrieved_ids", "retrieve_scores")
HANDLERS: dict[str, Callable[[Context, Checked, Columns], Steps]] = {
    "query_expansion": text_nodes.expand,
    "lexical_retrieval": passage_nodes.retrieve,
    "semantic_retrieval": passage_nodes.retrieve,
    "hybrid_retrieval": passage_nodes.fuse,
    "passage_augmenter": passage_nodes.augment,
    "passage_reranker": passage_nodes.rerank,
    "passage_filter": passage_nodes.filter,
    "passage_compressor": passage_nodes.compress,
    "prompt_maker": text_nodes.make_prompts,
    "generator": text_nodes.answer,
}


@dataclass
class Trial:
    context: Context
    checked: dict[str, Checked]  # by node type
    folder: Path  # DIR/0

    def run(self) -> Steps:
        """The trial's summary: a row for each node."""
        previous = dict(self.context.qa)
        summary: list[dict[str, Any]] = []
        for line in self.context.config.lines:
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
            write_by(folder / "retrieval" / f"{i}.parquet", functools.partial(shutil.copyfile, source))
        if chosen:
            write_parquet(folder / "retrieval/best_0.parquet", previous)

    def node(self, checked: Checked, previous: Columns, folder: Path) -> Steps:
        kind = checked.node.type
        outcome = yield from HANDLERS[kind](self.context, checked, previous)
        places = self.within_thresholds(checked, outcome)
        evaluated = yield from self.evaluated(checked, outcome, places)
        for i, columns in enumerate(outcome.results):
            own = columns if kind in ("prompt_maker", "query_expansion") else {**columns, **evaluated.get(i, {})}
            write_parquet(folder / f"{i}.parquet", own)
        best = self.best(checked, evaluated, places)
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

    def evaluated(self, checked: Checked, outcome: Outcome, places: list[int]) -> Steps:
        """Of each combination that is measured, its metrics' columns; where others measure it, of those at `places` alone."""
        kind = checked.node.type
        if kind in ("query_expansion", "prompt_maker"):
            if len(outcome.results) == 1:
                return {}
            by = by_retrieval if kind == "query_expansion" else by_generation
            return (yield from by(self.context, checked, outcome, places))
        if kind == "generator":
            columns = yield from text_columns(self.context, checked.metrics, self.context.qa["generation_gt"], [one["generated_texts"] for one in outcome.results])
            return dict(enumerate(columns))
        found = "retrieved_contents" if kind == "passage_compressor" else "retrieved_ids"
        return {i: self.context.metric_columns(checked.metrics, columns[found]) for i, columns in enumerate(outcome.results)}

    def within_thresholds(self, checked: Checked, outcome: Outcome) -> list[int]:
        """Speed before tokens; where a threshold would leave none, it leaves all."""
        limits, everyone = checked.node.strategy, list(range(len(outcome.results)))
        kept = strategy.within(outcome.seconds, limits.get("speed_threshold"), everyone)
        if kept != everyone:
            self.context.tell(f"{checked.node.where}: speed_threshold leaves out {len(everyone) - len(kept)} of {len(everyone)} combinations: "
                              "the choice hangs on measured seconds")
        tokens = next((values for name, values in outcome.more.items() if name.startswith("average_")), None)
        if limits.get("token_threshold") is not None and tokens is None:
            self.context.tell(f"{checked.node.where}: token_threshold: no tokens are counted here; it leaves out nothing")
            return kept
        return strategy.within(tokens, limits.get("token_threshold"), kept) if tokens is not None else kept

    def best(self, checked: Checked, evaluated: dict[int, Columns], places: list[int]) -> int:
        return places[strategy.best([evaluated[i] for i in places], checked.best_by)] if evaluated else 0

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
