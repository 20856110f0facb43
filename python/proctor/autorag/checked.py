"""A configuration whose every part can be: modules with their models, metrics, strategies, what each node reads of those before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proctor.autorag import metrics, strategy
from proctor.autorag.catalogue import EXPANSION_PARAMS, Model, ParameterError, embedder, find_module, number, text, whole
from proctor.autorag.config import Combo, Config, Node, combinations_of
from proctor.autorag.errors import ConfigError, Omissions, nearest
from proctor.autorag.passages import NORMALIZE, as_datetime
from proctor.autorag.stages import MOST_HITS

COMMON = ("metrics", "speed_threshold", "strategy")
STRATEGY_KEYS = {
    "query_expansion": (*COMMON, "top_k", "retrieval_modules"),
    "prompt_maker": (*COMMON, "token_threshold", "tokenizer", "generator_modules"),
    "generator": (*COMMON, "token_threshold"),
}
WITH_TOP_K = ("lexical_retrieval", "semantic_retrieval", "hybrid_retrieval", "passage_augmenter", "passage_reranker")
OVER_PASSAGES = ("passage_augmenter", "passage_reranker", "passage_filter", "passage_compressor", "prompt_maker")


@dataclass(frozen=True)
class Candidate:
    """A combination and the model that computes it; None: this process does."""

    combo: Combo
    model: Model | None

    @property
    def params(self) -> dict[str, Any]:
        return self.combo.params


@dataclass
class Checked:
    node: Node
    candidates: list[Candidate]
    metrics: list[Any]
    helpers: list[Candidate] = field(default_factory=list)  # retrieval_modules or generator_modules of the strategy

    @property
    def metric_names(self) -> list[str]:
        return [metrics.named(one)[0] for one in self.metrics]

    def embedders(self) -> list[Model]:
        """Of metrics that compare vectors."""
        return [metrics.embedder_of(params) for name, params in map(metrics.named, self.metrics) if name == metrics.BY_VECTORS]

    @property
    def best_by(self) -> str:
        return self.node.strategy.get("strategy", "mean")


class Checker:
    def __init__(self, config: Config, skip_unknown: bool):
        self.config = config
        self.notes = config.notes
        self.omissions = Omissions(skip_unknown, config.notes)

    def nodes(self) -> dict[str, Checked]:
        """By node type, in the order of the file."""
        checked = {node.type: self.node(node) for node in self.config.nodes()}
        self.check_order([*checked])
        return checked

    def check_order(self, types: list[str]) -> None:
        wheres = {node.type: node.where for node in self.config.nodes()}
        found: set[str] = set()
        for kind in types:
            if kind == "hybrid_retrieval" and not {"lexical_retrieval", "semantic_retrieval"} <= found:
                raise ConfigError(f"{wheres[kind]}: hybrid_retrieval fuses lexical_retrieval and semantic_retrieval; both have to stand before it")
            if kind in OVER_PASSAGES and not found & {"lexical_retrieval", "semantic_retrieval", "hybrid_retrieval"}:
                raise ConfigError(f"{wheres[kind]}: {kind} works on passages, and no retrieval node stands before it")
            if kind == "generator" and "prompt_maker" not in found:
                raise ConfigError(f"{wheres[kind]}: generator answers prompts, and no prompt_maker stands before it")
            found.add(kind)

    def node(self, node: Node) -> Checked:
        known = STRATEGY_KEYS.get(node.type, COMMON)
        for key in node.strategy:
            if key in known or node.type in ("query_expansion", "prompt_maker"):  # whose other keys are their modules'
                continue
            if meant := nearest(str(key), list(known)):
                raise ConfigError(f"{node.where}: strategy has no key '{key}'{meant} (it has {', '.join(known)})")
            self.notes.append(f"{node.where}: strategy: {key} changes nothing here")
        if (name := node.strategy.get("strategy", "mean")) not in strategy.NAMES:
            raise ConfigError(f"{node.where}: strategy '{name}' is not known{nearest(str(name), list(strategy.NAMES))} (there are {', '.join(strategy.NAMES)})")
        for key in ("speed_threshold", "token_threshold"):
            if node.strategy.get(key) is not None:
                self.parameter(node.where, lambda key=key: number(node.strategy, key))
        candidates = [Candidate(combo, model) for combo, model in self.models(node)]
        if not candidates:
            raise ConfigError(f"{node.where}: {node.type} has no module left")
        kept = metrics.check(node.metrics, node.type, node.where, self.omissions)
        checked = Checked(node, candidates, kept)
        self.parameter(node.where, checked.embedders)
        one_that_need_not = len(candidates) == 1 and node.type in ("query_expansion", "prompt_maker")
        if not kept and not one_that_need_not:
            raise ConfigError(f"{node.where}: {node.type} has no metrics, by which its best module is found")
        checked.helpers = self.helpers(node) if len(candidates) > 1 else []
        return checked

    def models(self, node: Node) -> Iterator[tuple[Combo, Model | None]]:
        for combo in node.combos:
            try:
                yield combo, self.model(node.type, combo)
            except ParameterError as error:
                self.omissions.leave_out(combo.where, f"{combo.type.name}: {error}")

    def model(self, node: str, combo: Combo) -> Model | None:
        self.check_parameters(node, combo)
        if combo.type.name == "vectordb":
            return self.vectordb(combo.params)
        if node == "query_expansion":
            return self.expander(combo)
        return combo.type.model(combo.params) if combo.type.model else None

    def vectordb(self, params: dict[str, Any]) -> Model:
        name = params.get("vectordb", "default")
        if name == "default" and name not in self.config.vectordbs:
            return embedder("openai")
        if name not in self.config.vectordbs:
            raise ParameterError(f"vectordb: '{name}' is not in the vectordb section{nearest(str(name), list(self.config.vectordbs))}")
        return embedder(self.config.vectordbs[name].get("embedding_model", "openai"))

    def expander(self, combo: Combo) -> Model | None:
        """The generator that writes the queries; of pass_query_expansion none."""
        if combo.type.name == "pass_query_expansion":
            return None
        if "generator_module_type" not in combo.params:
            raise ParameterError("generator_module_type is missing: AutoRAG would ask OpenAI; vllm, or llama_index_llm with llm: huggingfacellm, load a model")
        name = str(combo.params["generator_module_type"])
        generator = find_module(name)
        if not generator or "generator" not in generator.nodes:
            raise ParameterError(f"generator_module_type: '{name}' is no generator")
        if generator.missing:
            raise ParameterError(f"generator_module_type: {name} {generator.missing}")
        return generator.model(combo.params) if generator.model else None

    def helpers(self, node: Node) -> list[Candidate]:
        if node.type == "query_expansion":
            key, kind, default = "retrieval_modules", "lexical_retrieval", [{"module_type": "bm25"}]
            kinds = ("lexical_retrieval", "semantic_retrieval")
        elif node.type == "prompt_maker":
            key, kind, default = "generator_modules", "generator", None
            kinds = ("generator",)
        else:
            return []
        modules = node.strategy.get(key, default)
        if not isinstance(modules, list) or not modules:
            raise ConfigError(f"{node.where}: {kind}s are compared by {key} of the strategy, and there are none" if modules is None else
                              f"{node.where}: {key}: expected a list of modules")
        rest = {k: v for k, v in node.strategy.items() if k not in STRATEGY_KEYS[node.type]}
        if node.type == "query_expansion":
            rest["top_k"] = node.strategy.get("top_k", 10)
        out = []
        for module in modules:
            of = next((one for one in kinds if is_of(module, one)), kinds[0])
            for combo in combinations_of({**module, **rest}, of, node.where):  # the strategy's keys win here
                try:
                    out.append(Candidate(combo, self.model(of, combo)))
                except ParameterError as error:
                    self.omissions.leave_out(node.where, f"{key}: {combo.type.name}: {error}")
        if not out:
            raise ConfigError(f"{node.where}: {key} has no module left")
        return out

    def parameter(self, where: str, read: Any) -> None:
        try:
            read()
        except ParameterError as error:
            raise ConfigError(f"{where}: {error}") from error

    def check_parameters(self, node: str, combo: Combo) -> None:
        params, name = combo.params, combo.type.name
        if node in WITH_TOP_K and whole(params, "top_k", 1) > MOST_HITS:
            raise ParameterError(f"top_k: at most {MOST_HITS}, found {params['top_k']}")
        if name == "threshold_cutoff" or name == "similarity_threshold_cutoff":
            number(params, "threshold")
        if name == "percentile_cutoff" or name == "similarity_percentile_cutoff":
            if not 0 <= number(params, "percentile") <= 1:
                raise ParameterError(f"percentile: expected 0 to 1, found {params['percentile']}")
        if name == "recency_filter":
            try:
                as_datetime(params.get("threshold_datetime"))
            except ValueError as error:
                raise ParameterError(f"threshold_datetime: expected a date, found {params.get('threshold_datetime')!r}") from error
        if name == "prev_next_augmenter":
            whole(params, "num_passages", 0, 1)
            if params.get("mode", "both") not in ("prev", "next", "both"):
                raise ParameterError(f"mode: expected prev, next or both, found {params['mode']!r}")
        if node == "hybrid_retrieval":
            weights_of(combo)
            if params.get("normalize_method", "mm") not in NORMALIZE:
                raise ParameterError(f"normalize_method: expected one of {', '.join(NORMALIZE)}, found {params['normalize_method']!r}")
        if node == "prompt_maker":
            check_prompt(combo)
        self.tell_ignored(combo, EXPANSION_PARAMS if node == "query_expansion" else combo.type.reads)

    def tell_ignored(self, combo: Combo, read: tuple[str, ...]) -> None:
        ignored = [key for key in combo.params if key not in read]
        if ignored:
            note = f"{combo.where}: {combo.type.name}: {', '.join(ignored)} changes nothing here"
            if note not in self.notes:
                self.notes.append(note)


def is_of(module: Any, node: str) -> bool:
    found = find_module(str(module.get("module_type"))) if isinstance(module, dict) else None
    return bool(found and node in found.nodes)


def weights_of(combo: Combo) -> list[float]:
    """The weights that a hybrid module tries: cc evenly over a range, rrf each whole number of it."""
    rrf = combo.type.name == "hybrid_rrf"
    if "weight" in combo.params:
        raise ParameterError("weight: the sweep over weight_range finds it")
    given = combo.params.get("weight_range", (4, 80) if rrf else (0.0, 1.0))
    pair = given if isinstance(given, (tuple, list)) and len(given) == 2 else (None, None)
    whole_range = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in pair) and pair[0] <= pair[1]
    if not whole_range or pair[0] < (1 if rrf else 0) or (not rrf and pair[1] > 1):
        raise ParameterError(f"weight_range: expected \"(least, most)\"{'' if rrf else ' within 0 and 1'}, found {given!r}")
    low, high = pair
    if rrf:
        return [float(one) for one in range(int(low), int(high) + 1)]
    size = whole(combo.params, "test_weight_size", 1, 101)
    return [low + (high - low) * i / (size - 1) if size > 1 else float(low) for i in range(size)]


def check_prompt(combo: Combo) -> None:
    prompt = combo.params.get("prompt")
    if combo.type.name == "chat_fstring":
        messages = prompt if isinstance(prompt, list) else None
        if not messages or not all(isinstance(one, dict) and isinstance(one.get("content"), str) and "role" in one for one in messages):
            raise ParameterError("prompt: expected a list of conversations, each a list of {role, content}")
        for one in messages:
            filled(one["content"], "a question", ["a passage"])
        return
    filled(text(combo.params, "prompt"), "a question", ["a passage"])


def filled(template: str, query: str, contents: list[str]) -> str:
    """A prompt: {query} and {retrieved_contents}, the passages parted by a blank line."""
    try:
        return template.format(query=query, retrieved_contents="\n\n".join(contents))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ParameterError(f"prompt: {type(error).__name__} {error} where it is filled in; it may have {{query}} and {{retrieved_contents}}, "
                             "and other braces are written twice") from error
