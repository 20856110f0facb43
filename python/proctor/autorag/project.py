"""The project's folder: AutoRAG's files, and proctor's own beside them in DIR/proctor/N (suites, runs, what a trial was started with).

A trial that was stopped goes on with the same command; one that is done is told again; other inputs, or --fresh, begin the next one.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import yaml

from proctor.autorag.checked import Checker
from proctor.autorag.config import Config, Reader
from proctor.autorag.context import Context
from proctor.autorag.dataset import Columns, Corpus, check_ground_truth, read_corpus, read_qa
from proctor.autorag.errors import ConfigError
from proctor.autorag.files import frame, read_json, write_json, write_parquet
from proctor.autorag.models import Models
from proctor.autorag.stages import Stages
from proctor.autorag.trial import Trial
from proctor.whole_files import write_by, write_text


@dataclass(frozen=True)
class Options:
    config: str
    qa: str
    corpus: str
    project: str
    models: tuple[str, ...] = ()  # NAME=FOLDER
    dtype: str = ""
    fresh: bool = False
    skip_unknown: bool = False


class Project:
    def __init__(self, options: Options):
        self.options = options
        self.folder = Path(options.project).resolve()
        self.name = ""  # of the trial
        self.done = False

    def hold(self) -> None:
        """By this process alone, as long as it lives."""
        (self.folder / "proctor").mkdir(parents=True, exist_ok=True)
        self.lock = open(self.folder / "proctor/lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{self.folder}: another proctor autorag works in this project") from error

    def prepare(self) -> Trial:
        """Everything is read and checked before anything is written."""
        options = self.options
        models = Models(options.models)
        config = Reader(Path(options.config), self.folder, options.skip_unknown).read()
        checked = Checker(config, options.skip_unknown).nodes()
        for one in checked.values():
            for candidate in [*one.candidates, *one.helpers]:
                if candidate.model and "path" in candidate.model.module:
                    models.check(candidate.model.module["path"], candidate.combo.where)
            for model in one.embedders():
                models.check(model.module["path"], one.node.where)
        qa, corpus = read_qa(Path(options.qa)), read_corpus(Path(options.corpus))
        check_ground_truth(qa, corpus, Path(options.qa))
        self.refuse_compressor_without_truth(config, qa)
        self.compare_data(qa, corpus)
        name, started = self.choose(config)
        stages = Stages(self.folder / "proctor" / name, corpus, models.folder, options.dtype)
        self.name = name
        return Trial(Context(config, qa, corpus, stages, started, config.notes), checked, self.folder / name)

    def refuse_compressor_without_truth(self, config: Config, qa: Columns) -> None:
        for node in config.nodes():
            if node.type == "passage_compressor":
                for row, groups in enumerate(qa["retrieval_gt"], 1):
                    if not groups[0]:
                        raise ConfigError(f"{node.where}: passage_compressor is measured by the ground truth's passages, and row {row} of the QA has none")

    def compare_data(self, qa: Columns, corpus: Corpus) -> None:
        """A project has one QA and one corpus: metrics of its trials stand side by side."""
        for name, columns, given in (("qa", qa, self.options.qa), ("corpus", corpus.columns, self.options.corpus)):
            path = self.folder / "data" / f"{name}.parquet"
            if path.is_file() and content_of(pandas.read_parquet(path)) != content_of(frame(columns)):
                raise ConfigError(f"{given}: is not what the project was begun with ({path}); begin another with --project")

    def write_data(self, trial: Trial) -> None:
        for name, columns in (("qa", trial.context.qa), ("corpus", trial.context.corpus.columns)):
            path = self.folder / "data" / f"{name}.parquet"
            if not path.is_file():
                write_parquet(path, columns)
        entries = [dict(one) for one in yaml.safe_load(trial.context.config.text).get("vectordb") or []]
        for one in entries:
            if "path" in one:
                one["path"] = str(Path(str(one["path"]).replace("${PROJECT_DIR}", str(self.folder))).resolve())
        write_text(self.folder / "resources/vectordb.yaml", yaml.safe_dump({"vectordb": entries}))

    # --- trials

    def identity(self, config: Config) -> dict[str, Any]:
        options = self.options
        return {
            "config": hashlib.sha256(config.text).hexdigest(),
            "models": sorted(options.models),
            "dtype": options.dtype,
            "skip_unknown": options.skip_unknown,
        }

    def choose(self, config: Config) -> tuple[str, datetime.datetime]:
        trials = read_json(self.folder / "trial.json", [])
        if trials and not self.options.fresh:
            name = trials[-1]["trial_name"]
            if read_json(self.own(name), None) == self.identity(config):
                self.done = (self.folder / name / "summary.csv").is_file()
                return name, datetime.datetime.fromisoformat(trials[-1]["start_time"])
        name = str(int(trials[-1]["trial_name"]) + 1) if trials else "0"
        if (self.folder / name).exists() and not self.own(name).is_file():
            raise ConfigError(f"{self.folder / name}: is there already, and trial.json does not know it; move it away")
        return name, datetime.datetime.now().replace(microsecond=0)

    def own(self, name: str) -> Path:
        return self.folder / "proctor" / name / "trial.json"

    def begin(self, trial: Trial) -> None:
        """Nothing, of one that goes on. trial.json last: what it names is there."""
        trials = read_json(self.folder / "trial.json", [])
        if trials and trials[-1]["trial_name"] == self.name:
            return
        write_json(self.own(self.name), self.identity(trial.context.config))
        self.write_data(trial)
        write_by(self.folder / self.name / "config.yaml", lambda partial: partial.write_bytes(trial.context.config.text))
        write_json(self.folder / "trial.json", [*trials, {"trial_name": self.name, "start_time": trial.context.started.strftime("%Y-%m-%d %H:%M:%S")}])

    def summary(self) -> str:
        table = pandas.read_csv(self.folder / self.name / "summary.csv")
        rows = [(row.node_line_name, row.node_type, row.best_module_name, row.best_module_filename, *self.figures(row)) for row in table.itertuples()]
        return f"trial {self.name} in {self.folder}\n" + aligned([("line", "node", "best module", "of", "metrics"), *rows])

    def figures(self, row: Any) -> tuple[str]:
        node = pandas.read_csv(self.folder / self.name / row.node_line_name / row.node_type / "summary.csv")
        names = list(node.columns)[4:-1]
        best = node[node["is_best"]].iloc[0]
        prefix = f"{row.node_type}_"
        return (", ".join(f"{name.removeprefix(prefix)} {best[name]:.4g}" for name in names if not name.startswith("average_") and not pandas.isna(best[name])),)


def content_of(table: pandas.DataFrame) -> str:
    """The same for the same values, however Parquet gave them back."""
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if inner is not None}
        if hasattr(value, "tolist") and not isinstance(value, str):
            value = value.tolist()
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    rows = {name: [plain(value) for value in table[name]] for name in sorted(table.columns)}
    return hashlib.sha256(json.dumps(rows, default=str, sort_keys=True).encode()).hexdigest()


def aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows)
