"""A run as MLflow's file store: an experiment named after the suite, a run a module. `mlflow ui --backend-store-uri OUT` shows it; MLflow need not be here.

Layout: mlflow/store/tracking/file_store.py of MLflow 3: EXPERIMENT/meta.yaml, EXPERIMENT/RUN/{meta.yaml, metrics, params, tags, artifacts}.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from proctor.results import Row, Run
from proctor.whole_files import write_text

FINISHED, LOCAL = 3, 4  # of MLflow's RunStatus and SourceType


def digits(text: str) -> str:
    """As MLflow numbers experiments."""
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:14], 16))


def key(name: str) -> str:
    """What MLflow allows in a name."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def yaml(value: dict[str, Any]) -> str:
    return "".join(f"{name}: {json.dumps(one)}\n" for name, one in value.items())


def parameters(results: Row, manifest: Row) -> dict[str, Any]:
    config = results.get("config", {})
    device = manifest.get("device") or {}
    flat = {name: value for name, value in config.items() if isinstance(value, (str, int, float, bool))}
    return {**flat, "model_name": results.get("model_name"), "model_source": results.get("model_source"), "device": device.get("kind"), "torch": device.get("torch_version")}


def write(run: Run, out: Path) -> list[Path]:
    manifest = run.manifest() if (run.directory / "manifest.json").is_file() else {}
    name = manifest.get("suite") or run.directory.name
    experiment = digits(name)
    folder = out / experiment
    time = int((run.directory / "status.json").stat().st_mtime * 1000)
    begin = time - int(1000 * (manifest.get("seconds") or 0))
    written = [folder / "meta.yaml"]
    write_text(written[0], yaml({"artifact_location": folder.resolve().as_uri(), "creation_time": begin, "experiment_id": experiment, "last_update_time": time,
                                 "lifecycle_stage": "active", "name": name}))
    for module in run.modules():
        results = run.results(module)
        number = hashlib.sha256(f"{run.directory.resolve()}\n{module}".encode()).hexdigest()[:32]
        of_run = folder / number
        for row in (row for row in run.scores() if row["module"] == module and isinstance(row["value"], (int, float))):
            metric = key(f"{row['task']}/{row['metric']}" + ("" if row["filter"] == "none" else f"/{row['filter']}"))
            write_text(of_run / "metrics" / metric, f"{time} {row['value']!r} 0\n")
            if row["stderr"] is not None:
                write_text(of_run / "metrics" / f"{metric}_stderr", f"{time} {row['stderr']!r} 0\n")
        for parameter, value in parameters(results, manifest).items():
            if value is not None:
                write_text(of_run / "params" / key(parameter), str(value))
        tags = {"mlflow.runName": module, "mlflow.source.name": "proctor", "mlflow.source.type": "LOCAL", "proctor.directory": str(run.directory.resolve())}
        for tag, value in tags.items():
            write_text(of_run / "tags" / tag, value)
        write_text(of_run / "artifacts" / "results.json", json.dumps(results, indent=2, ensure_ascii=False))
        write_text(of_run / "meta.yaml", yaml({
            "artifact_uri": (of_run / "artifacts").resolve().as_uri(), "end_time": time, "entry_point_name": "", "experiment_id": experiment, "lifecycle_stage": "active",
            "run_id": number, "run_name": module, "run_uuid": number, "source_name": "proctor", "source_type": LOCAL, "source_version": "", "start_time": begin,
            "status": FINISHED, "tags": [], "user_id": ""}))
        written.append(of_run / "meta.yaml")
    return written
