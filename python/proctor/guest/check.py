"""What an engine says of itself and of a module before anything starts; without heavy imports."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from proctor.guest.engine import PROMISES, REQUEST_TYPES, Engine
from proctor.guest.errors import BadFile, Missing
from proctor.guest.folder import config_facts, folder_hash, model_hash, special_texts, tensor_facts
from proctor.guest.module import Module
from proctor.refused import Refused

PROTOCOL = 1
COMPUTING = ("units.py", "requests.py", "answers.py")  # of this package: they too decide what a result is


def probe(engine: type[Engine]) -> dict[str, Any]:
    """The engine's own facts."""
    return engine_facts(engine, complete=True)


def check(engine: type[Engine], module: Module) -> dict[str, Any]:
    """ModelFacts of the module, as JSON; what is not known is left out."""
    facts: dict[str, Any] = {"shares_beginnings": "shares_beginnings" in engine.promises, "kinds": list(engine.kinds), "notes": []}
    facts["engine"] = engine_facts(engine, complete=True)
    if module.kind not in engine.kinds:
        raise Refused(f"module {module.name}: kind {module.kind} is not one of this engine's ({', '.join(engine.kinds)})")
    if module.path:
        if not Path(module.path).is_dir():
            raise BadFile(f"{module.path}: there is no such folder")
        facts.update({**config_facts(module.path), **tensor_facts(module.path), **special_texts(module.path)})
        facts["folder_hash"], facts["model_hash"] = folder_hash(module.path), model_hash(module.path)
    if module.max_length is not None:
        facts["max_length"] = module.max_length
    engine.check(module, facts)
    return facts


def engine_facts(engine: type[Engine], complete: bool) -> dict[str, Any]:
    """`complete`: a package that is missing is an error; else it is left out, and load() will say so."""
    _refuse_unknown("answers", engine.answers, REQUEST_TYPES)
    _refuse_unknown("promises", engine.promises, PROMISES)
    return {
        "name": engine.name or engine.__name__, "protocol": PROTOCOL, "versions": _versions(engine, complete), "answers": list(engine.answers),
        "kinds": list(engine.kinds), "promises": list(engine.promises), "code_hash": code_hash(engine),
        "environment": {name: os.environ[name] for name in engine.environment if name in os.environ},
    }


def code_hash(engine: type[Engine]) -> str:
    """Of the sources of the engine's class and of all that it derives from, those that it names, and those of this package that compute."""
    own = [Path(inspect.getsourcefile(kind) or "").resolve() for kind in engine.__mro__ if kind is not object]
    here = Path(__file__).resolve().parent
    files = {*own, *(own[0].parent / name for name in engine.sources), *(here / name for name in COMPUTING)}
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: (path.name, str(path))):
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        except OSError as error:
            raise BadFile(f"{path}: {error.strerror}") from error
    return digest.hexdigest()[:32]


def _versions(engine: type[Engine], complete: bool) -> dict[str, str]:
    versions = {}
    for package in engine.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            if complete:
                raise Missing(f"package {package} is missing; install it for {sys.executable}") from None
    if complete and importlib.util.find_spec("msgpack") is None:
        raise Missing(f"package msgpack is missing; install it for {sys.executable}")
    return versions


def _refuse_unknown(what: str, given: Any, known: tuple[str, ...]) -> None:
    for one in given:
        if one not in known:
            raise Refused(f"{what}: '{one}' is not known; expected {', '.join(known)}")
