"""AutoRAG's YAML: node lines of nodes of modules, each module's parameters expanded to the combinations that are tried.

A list as a parameter's value is an axis; the product runs in the order of the file, the last axis fastest. (AutoRAG sends lists through a set,
so that its order is another in every process.)
"""

from __future__ import annotations

import ast
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from proctor.autorag.catalogue import NODES, ModuleType, ParameterError, module_of
from proctor.autorag.errors import ConfigError, Omissions, nearest

Params = dict[str, Any]
VARIABLE = re.compile(r"\$\{([^}]+)\}")
SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)


class Map(dict):
    """A mapping of the file that knows where it begins."""

    line = 0


class Loader(yaml.SafeLoader):
    pass


def _construct_map(loader: Loader, node: yaml.MappingNode) -> Iterator[Map]:
    out = Map()
    out.line = node.start_mark.line + 1
    yield out
    out.update(loader.construct_mapping(node, deep=True))


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_map)


@dataclass(frozen=True)
class Combo:
    """A module with one set of its parameters: one N.parquet."""

    type: ModuleType
    params: Params
    shown: Params  # as summary.csv has them: of keys that look like secrets, ${NAME} stays
    where: str  # FILE:LINE


@dataclass
class Node:
    type: str
    strategy: Params
    combos: list[Combo]
    where: str

    @property
    def metrics(self) -> list[Any]:
        return self.strategy.get("metrics") or []


@dataclass
class NodeLine:
    name: str
    nodes: list[Node]


@dataclass
class Config:
    path: Path
    text: bytes
    lines: list[NodeLine]
    vectordbs: dict[str, Params]
    notes: list[str] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        return itertools.chain.from_iterable(line.nodes for line in self.lines)


class Reader:
    """Reads one file; `skip_unknown` leaves out modules that are not there, with a note."""

    def __init__(self, path: Path, project: Path, skip_unknown: bool, environment: Mapping[str, str] = os.environ):
        self.path = path
        self.environment = {**environment, "PROJECT_DIR": str(project)}
        self.omissions = Omissions(skip_unknown, [])

    def read(self) -> Config:
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}") from error
        try:
            tree = yaml.load(text, Loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise ConfigError(f"{self.path}{f':{mark.line + 1}' if mark else ''}: is no YAML: {getattr(error, 'problem', error)}") from error
        if not isinstance(tree, Map) or not isinstance(tree.get("node_lines"), list) or not tree["node_lines"]:
            raise ConfigError(f"{self.path}:1: expected node_lines, a list of {{node_line_name, nodes}}")
        lines = [self.line(one) for one in tree["node_lines"]]
        self.refuse_repeats(lines)
        vectordbs = {}
        for entry in tree.get("vectordb") or []:
            if not isinstance(entry, Map) or "name" not in entry:
                raise ConfigError(f"{self.at(entry)}: vectordb: expected a list of {{name, db_type, embedding_model, ...}}")
            vectordbs[entry["name"]] = self.resolved(entry)
        return Config(self.path, text, lines, vectordbs, self.omissions.notes)

    def at(self, thing: Any) -> str:
        return f"{self.path}:{getattr(thing, 'line', 1)}"

    def refuse_repeats(self, lines: list[NodeLine]) -> None:
        names: set[str] = set()
        for line in lines:
            if line.name in names:
                raise ConfigError(f"{self.path}: node_line_name {line.name} is used twice")
            names.add(line.name)
        types: dict[str, str] = {}
        for line in lines:
            for node in line.nodes:
                if node.type in types:
                    raise ConfigError(f"{node.where}: {node.type} stands in this file twice ({types[node.type]}); AutoRAG's results have room for one")
                types[node.type] = node.where

    def line(self, tree: Any) -> NodeLine:
        if not isinstance(tree, Map) or not isinstance(tree.get("node_line_name"), str) or not tree.get("nodes"):
            raise ConfigError(f"{self.at(tree)}: expected node_line_name and nodes")
        name = tree["node_line_name"]
        if Path(name).name != name or name in (".", "..", "data", "resources"):
            raise ConfigError(f"{self.at(tree)}: node_line_name '{name}' becomes a folder's name, and cannot be one")
        return NodeLine(name, [self.node(one) for one in tree["nodes"]])

    def node(self, tree: Any) -> Node:
        if not isinstance(tree, Map) or "node_type" not in tree:
            raise ConfigError(f"{self.at(tree)}: expected node_type, strategy and modules")
        where, params = self.at(tree), dict(tree)
        kind = params.pop("node_type")
        if kind not in NODES:
            raise ConfigError(f"{where}: node_type '{kind}' is not known{nearest(str(kind), list(NODES))} (there are {', '.join(NODES)})")
        for key, form in (("strategy", dict), ("modules", list)):
            if not isinstance(params.get(key), form):
                raise ConfigError(f"{where}: {kind} lacks {key}" + (" (it may be {})" if form is dict else ""))
        strategy, modules = self.resolved(params.pop("strategy")), params.pop("modules")
        if kind == "hybrid_retrieval" and isinstance(params.get("top_k"), list):
            raise ConfigError(f"{where}: top_k of hybrid_retrieval: expected a whole number, found a list")
        combos = [combo for one in modules for combo in self.module(kind, params, one)]
        if not combos:
            raise ConfigError(f"{where}: {kind} has no module left")
        return Node(kind, strategy, combos, where)

    def module(self, node: str, node_params: Params, tree: Any) -> list[Combo]:
        where = self.at(tree)
        if not isinstance(tree, Map) or "module_type" not in tree:
            raise ConfigError(f"{where}: expected module_type in each of the modules")
        params = {**node_params, **tree}
        name = params.pop("module_type")
        try:
            found = module_of(node, str(name))
        except ParameterError as error:
            self.omissions.leave_out(where, str(error))
            return []
        return [Combo(found, *both, where) for both in self.combinations(params)]

    def combinations(self, params: Params) -> list[tuple[Params, Params]]:
        """Each combination twice: as it is used, and as it is shown."""
        axes = []
        for key, raw in params.items():
            used, shown = self.resolved(raw), raw if SECRET.search(key) and has_variable(raw) else self.resolved(raw)
            if not isinstance(used, list):
                axes.append([(key, used, shown)])
                continue
            pairs = list(zip(used, shown, strict=True)) if isinstance(shown, list) else [(one, shown) for one in used]
            axes.append([(key, one, other) for one, other in without_repeats(pairs)])
        return [({key: used for key, used, _ in chosen}, {key: shown for key, _, shown in chosen}) for chosen in itertools.product(*axes)]

    def resolved(self, value: Any) -> Any:
        """${NAME} by the environment, "(...)" as a Python tuple."""
        if isinstance(value, dict):
            out = Map({key: self.resolved(inner) for key, inner in value.items()})
            out.line = getattr(value, "line", 1)
            return out
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        if not isinstance(value, str):
            return value
        text = VARIABLE.sub(lambda found: self.environment.get(found[1], ""), value)
        return as_tuple(text) if text.startswith("(") and text.endswith(")") else text


def as_tuple(text: str) -> Any:
    """"(4, 80)" as AutoRAG reads it; any other text in parentheses stays one."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def has_variable(value: Any) -> bool:
    return bool(VARIABLE.search(value)) if isinstance(value, str) else isinstance(value, list) and any(map(has_variable, value))


def without_repeats(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The first of equal values. Lists that hold a list or a mapping keep them, as in AutoRAG."""
    if any(isinstance(used, (list, dict)) for used, _ in pairs):
        return pairs
    first: dict[Any, tuple[Any, Any]] = {}
    for used, shown in pairs:
        first.setdefault(used, (used, shown))
    return list(first.values())


def combinations_of(params: Params, node: str, where: str) -> list[Combo]:
    """Of a module that a strategy names (retrieval_modules, generator_modules)."""
    params = dict(params)
    name = params.pop("module_type", None)
    try:
        found = module_of(node, str(name))
    except ParameterError as error:
        raise ConfigError(f"{where}: {error}") from error
    axes = [[(key, one) for one in (value if isinstance(value, list) else [value])] for key, value in params.items()]
    return [Combo(found, dict(chosen), dict(chosen), where) for chosen in itertools.product(*axes)]
