"""AutoRAG's node types and modules: a row each, with the proctor module that computes it.

A row without `model` is computed here, in Python: it orders, filters or formats, and needs no device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proctor.autorag.errors import nearest

Params = Mapping[str, Any]

# In the order of a pipeline.
NODES = (
    "query_expansion",
    "lexical_retrieval",
    "semantic_retrieval",
    "hybrid_retrieval",
    "passage_augmenter",
    "passage_reranker",
    "passage_filter",
    "passage_compressor",
    "prompt_maker",
    "generator",
)


@dataclass(frozen=True)
class Model:
    """`module`: of proctor's suite, without its name. `task`: what its task says for it."""

    module: dict[str, Any]
    task: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModuleType:
    name: str
    class_name: str
    nodes: tuple[str, ...]
    model: Callable[[Params], Model | None] | None = None
    reads: tuple[str, ...] = ()  # parameters that change what is computed
    missing: str = ""  # why there is none


class ParameterError(ValueError):
    """A parameter's value that cannot be; the message names it."""


def whole(params: Params, key: str, least: int, default: int | None = None) -> int:
    value = params.get(key, default)
    if value is None:
        raise ParameterError(f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterError(f"{key}: expected a whole number of at least {least}, found {value!r}")
    return value


def number(params: Params, key: str, default: float | None = None) -> float:
    value = params.get(key, default)
    if value is None:
        raise ParameterError(f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ParameterError(f"{key}: expected a number, found {value!r}")
    return float(value)


def text(params: Params, key: str, default: str | None = None) -> str:
    value = params.get(key, default)
    if not isinstance(value, str) or not value:
        raise ParameterError(f"{key}: expected a text, found {value!r}" if key in params else f"{key} is missing")
    return value


# --- retrieval

BM25_TOKENIZERS = {"porter_stemmer": "porter", "space": "space"}


def bm25(params: Params) -> Model:
    name = params.get("bm25_tokenizer", "porter_stemmer")
    if name not in BM25_TOKENIZERS:
        raise ParameterError(f"bm25_tokenizer: '{name}' is not there (there are {', '.join(BM25_TOKENIZERS)})")
    return Model({"kind": "bm25", "options": {"method": "okapi", "k1": 1.5, "b": 0.75, "tokenizer": BM25_TOKENIZERS[name]}})


EMBEDDING_MODELS = {
    "huggingface_baai_bge_small": "BAAI/bge-small-en-v1.5",
    "huggingface_cointegrated_rubert_tiny2": "cointegrated/rubert-tiny2",
    "huggingface_all_mpnet_base_v2": "sentence-transformers/all-mpnet-base-v2",
    "huggingface_bge_m3": "BAAI/bge-m3",
    "huggingface_multilingual_e5_large": "intfloat/multilingual-e5-large-instruct",
}
REMOTE = "asks a service on the network; proctor computes what it evaluates"


def embedder(model: Any) -> Model:
    """`model`: the value of embedding_model."""
    if isinstance(model, list) and len(model) == 1:
        model = model[0]
    if isinstance(model, str):
        if model not in EMBEDDING_MODELS:
            raise ParameterError(f"embedding_model: '{model}' {'has random vectors' if model == 'mock' else REMOTE}; {LOCAL_EMBEDDER}")
        return Model({"kind": "embedding", "path": EMBEDDING_MODELS[model]})
    if not isinstance(model, Mapping) or "type" not in model:
        raise ParameterError(f"embedding_model: expected a name or {{type, model_name}}; {LOCAL_EMBEDDER}")
    if model["type"] not in ("huggingface", "vllm"):
        raise ParameterError(f"embedding_model: type {model['type']} {'has random vectors' if model['type'] == 'mock' else REMOTE}; {LOCAL_EMBEDDER}")
    path = model.get("model_name") or model.get("model")
    if not isinstance(path, str):
        raise ParameterError("embedding_model: model_name is missing")
    return Model({"kind": "embedding", "path": path})


LOCAL_EMBEDDER = "a model of your own is {type: huggingface, model_name: FOLDER or ORG/NAME}"

# --- rerankers


def reranker(kind: str, default: str, key: str = "model_name", **options: Any) -> Callable[[Params], Model]:
    return lambda params: Model({"kind": kind, "path": text(params, key, default), **({"options": options} if options else {})})


def monot5(params: Params) -> Model:
    """AutoRAG writes underscores for the slash of a model's name."""
    name = text(params, "model_name", "castorini/monot5-3b-msmarco-10k")
    known = name if "/" in name else name.replace("_", "/", 1)
    return Model({"kind": "monot5", "path": known, "options": {"compat": "autorag"}})


def upr(params: Params) -> Model:
    options = {key: params[f"{key}_prompt"] for key in ("prefix", "suffix") if f"{key}_prompt" in params}
    return Model({"kind": "upr", "path": "t5-large", **({"options": options} if options else {})})


def tart(params: Params) -> Model:
    return Model({"kind": "tart", "path": "facebook/tart-full-flan-t5-xl",
                  **({"options": {"instruction": params["instruction"]}} if "instruction" in params else {})})


FLASHRANK = {
    "ms-marco-TinyBERT-L-2-v2": "cross-encoder/ms-marco-TinyBERT-L2-v2",
    "ms-marco-MiniLM-L-12-v2": "cross-encoder/ms-marco-MiniLM-L12-v2",
}


def flashrank(params: Params) -> Model:
    """FlashRank's checkpoints are ONNX exports of these."""
    name = params.get("model", "ms-marco-TinyBERT-L-2-v2")
    if name not in FLASHRANK and "/" not in str(name):
        raise ParameterError(f"model: '{name}' is not there (there are {', '.join(FLASHRANK)}, or the name or folder of a model)")
    return Model({"kind": "cross_encoder", "path": FLASHRANK.get(name, name), "options": {"activation": "sigmoid"}})


def rankgpt(params: Params) -> Model:
    return Model({"kind": "rankgpt", "path": huggingface_llm(params)})


# --- compressors and generators


def longllmlingua(params: Params) -> Model:
    if params.get("instructions") not in (None, "Given the context, please answer the final question"):
        raise ParameterError("instructions: only AutoRAG's default is there")
    return Model({"kind": "longllmlingua", "path": text(params, "model_name", "NousResearch/Llama-2-7b-hf")},
                 {"target_tokens": whole(params, "target_token", 1, 300)})


def huggingface_llm(params: Params) -> str:
    name = params.get("llm")
    if name != "huggingfacellm":
        raise ParameterError(f"llm: '{name}' {REMOTE}; a model of your own is llm: huggingfacellm, model_name: FOLDER or ORG/NAME")
    return text(params, "model_name", params.get("model"))


SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "min_tokens", "ignore_eos",
            "stop_token_ids")  # called alike here and in vLLM


def vllm(params: Params) -> Model:
    """Sampling as vLLM's SamplingParams has it: temperature 1 and 16 tokens where the file says nothing."""
    module = {"path": text(params, "model", params.get("llm"))}
    for theirs, ours in (("tensor_parallel_size", "tensor_parallel"), ("dtype", "dtype"), ("max_model_len", "max_length")):
        if theirs in params:
            module[ours] = params[theirs]
    if params.get("n", 1) != 1:
        raise ParameterError("n: AutoRAG uses one text of each prompt")
    task = {"temperature": 1.0, "max_gen_toks": whole(params, "max_tokens", 1, 16)}
    task.update({key: params[key] for key in SAMPLING if params.get(key) is not None})
    if task.get("top_k") in (-1, 0):
        del task["top_k"]
    stop = params.get("stop") or []
    return Model(module, {**task, "until": [stop] if isinstance(stop, str) else list(stop)})


def llama_index_llm(params: Params) -> Model | None:
    """`mock`, llama_index's own, repeats the prompt; huggingfacellm is transformers' generate: greedy, 256 tokens."""
    if params.get("llm") == "mock":
        return None
    given = params.get("generate_kwargs") or {}
    if not isinstance(given, Mapping):
        raise ParameterError("generate_kwargs: expected a mapping")
    task: dict[str, Any] = {"max_gen_toks": whole(params, "max_new_tokens", 1, 256), "until": []}
    if given.get("do_sample"):
        task.update(temperature=given.get("temperature", 1.0), top_k=given.get("top_k", 50))
        task.update({key: given[key] for key in ("top_p",) if key in given})
    if "repetition_penalty" in given:
        task["repetition_penalty"] = given["repetition_penalty"]
    return Model({"path": huggingface_llm(params)}, task)


SERVICE = f"{REMOTE}"
GENERATOR_PARAMS = ("llm", "model", "model_name", "max_new_tokens", "max_tokens", "generate_kwargs", "tensor_parallel_size", "dtype", "max_model_len", "n",
                    "stop", "thinking", "chat_template_kwargs", *SAMPLING)
EXPANSION_PARAMS = ("prompt", "generator_module_type", *GENERATOR_PARAMS)

MODULES = (
    ModuleType("pass_query_expansion", "PassQueryExpansion", ("query_expansion",), reads=EXPANSION_PARAMS),
    ModuleType("query_decompose", "QueryDecompose", ("query_expansion",), reads=EXPANSION_PARAMS),
    ModuleType("hyde", "HyDE", ("query_expansion",), reads=EXPANSION_PARAMS),
    ModuleType("multi_query_expansion", "MultiQueryExpansion", ("query_expansion",), reads=EXPANSION_PARAMS),
    ModuleType("bm25", "BM25", ("lexical_retrieval",), bm25, ("top_k", "bm25_tokenizer")),
    ModuleType("vectordb", "VectorDB", ("semantic_retrieval",), None, ("top_k", "vectordb")),
    ModuleType("hybrid_rrf", "HybridRRF", ("hybrid_retrieval",), None, ("top_k", "weight_range")),
    ModuleType("hybrid_cc", "HybridCC", ("hybrid_retrieval",), None,
               ("top_k", "weight_range", "test_weight_size", "normalize_method", "semantic_theoretical_min_value", "lexical_theoretical_min_value")),
    ModuleType("pass_passage_augmenter", "PassPassageAugmenter", ("passage_augmenter",), None, ("top_k",)),
    ModuleType("prev_next_augmenter", "PrevNextPassageAugmenter", ("passage_augmenter",), lambda params: embedder(params.get("embedding_model", "openai")),
               ("top_k", "mode", "num_passages", "embedding_model")),
    ModuleType("pass_reranker", "PassReranker", ("passage_reranker",), None, ("top_k",)),
    ModuleType("time_reranker", "TimeReranker", ("passage_reranker",), None, ("top_k",)),
    ModuleType("colbert_reranker", "ColbertReranker", ("passage_reranker",), reranker("colbert", "colbert-ir/colbertv2.0", compat="autorag"),
               ("top_k", "model_name")),
    ModuleType("sentence_transformer_reranker", "SentenceTransformerReranker", ("passage_reranker",),
               reranker("cross_encoder", "cross-encoder/ms-marco-MiniLM-L-2-v2"), ("top_k", "model_name")),
    ModuleType("monot5", "MonoT5", ("passage_reranker",), monot5, ("top_k", "model_name")),
    ModuleType("koreranker", "KoReranker", ("passage_reranker",),
               lambda _: Model({"kind": "cross_encoder", "path": "Dongjin-kr/ko-reranker", "options": {"activation": "over_passages"}}), ("top_k",)),
    ModuleType("flashrank_reranker", "FlashRankReranker", ("passage_reranker",), flashrank, ("top_k", "model")),
    ModuleType("flag_embedding_reranker", "FlagEmbeddingReranker", ("passage_reranker",),
               reranker("cross_encoder", "BAAI/bge-reranker-large", activation="identity", truncation="only_second"), ("top_k", "model_name")),
    ModuleType("flag_embedding_llm_reranker", "FlagEmbeddingLLMReranker", ("passage_reranker",), reranker("llm_reranker", "BAAI/bge-reranker-v2-gemma"),
               ("top_k", "model_name")),
    ModuleType("rankgpt", "RankGPT", ("passage_reranker",), rankgpt, ("top_k", "llm", "model", "model_name")),
    ModuleType("upr", "Upr", ("passage_reranker",), upr, ("top_k", "prefix_prompt", "suffix_prompt")),
    ModuleType("tart", "Tart", ("passage_reranker",), tart, ("top_k", "instruction")),
    ModuleType("cohere_reranker", "CohereReranker", ("passage_reranker",), missing=SERVICE),
    ModuleType("jina_reranker", "JinaReranker", ("passage_reranker",), missing=SERVICE),
    ModuleType("voyageai_reranker", "VoyageAIReranker", ("passage_reranker",), missing=SERVICE),
    ModuleType("mixedbreadai_reranker", "MixedbreadAIReranker", ("passage_reranker",), missing=SERVICE),
    ModuleType("nvidia_reranker", "NvidiaReranker", ("passage_reranker",), missing=SERVICE),
    ModuleType("openvino_reranker", "OpenVINOReranker", ("passage_reranker",), missing="needs OpenVINO, which is not there"),
    ModuleType("pass_passage_filter", "PassPassageFilter", ("passage_filter",)),
    ModuleType("threshold_cutoff", "ThresholdCutoff", ("passage_filter",), None, ("threshold", "reverse")),
    ModuleType("percentile_cutoff", "PercentileCutoff", ("passage_filter",), None, ("percentile", "reverse")),
    ModuleType("similarity_threshold_cutoff", "SimilarityThresholdCutoff", ("passage_filter",),
               lambda params: embedder(params.get("embedding_model", "openai")), ("threshold", "embedding_model")),
    ModuleType("similarity_percentile_cutoff", "SimilarityPercentileCutoff", ("passage_filter",),
               lambda params: embedder(params.get("embedding_model", "openai")), ("percentile", "embedding_model")),
    ModuleType("recency_filter", "RecencyFilter", ("passage_filter",), None, ("threshold_datetime",)),
    ModuleType("pass_compressor", "PassCompressor", ("passage_compressor",)),
    ModuleType("longllmlingua", "LongLLMLingua", ("passage_compressor",), longllmlingua, ("model_name", "target_token", "instructions")),
    ModuleType("tree_summarize", "TreeSummarize", ("passage_compressor",), missing="is not there yet"),
    ModuleType("refine", "Refine", ("passage_compressor",), missing="is not there yet"),
    ModuleType("fstring", "Fstring", ("prompt_maker",), None, ("prompt",)),
    ModuleType("chat_fstring", "ChatFstring", ("prompt_maker",), None, ("prompt",)),
    ModuleType("long_context_reorder", "LongContextReorder", ("prompt_maker",), None, ("prompt",)),
    ModuleType("window_replacement", "WindowReplacement", ("prompt_maker",), None, ("prompt",)),
    ModuleType("llama_index_llm", "LlamaIndexLLM", ("generator",), llama_index_llm, GENERATOR_PARAMS),
    ModuleType("vllm", "Vllm", ("generator",), vllm, GENERATOR_PARAMS),
    ModuleType("openai_llm", "OpenAILLM", ("generator",), missing=SERVICE),
    ModuleType("vllm_api", "VllmAPI", ("generator",), missing=SERVICE + " (vllm loads the model here)"),
    ModuleType("minimax_llm", "MiniMaxLLM", ("generator",), missing=SERVICE),
)
BY_NAME = {name: one for one in MODULES for name in (one.name, one.class_name)}


def find_module(name: str) -> ModuleType | None:
    return BY_NAME.get(name)


def module_of(node: str, name: str) -> ModuleType:
    """Throws ParameterError where there is none for such a node."""
    found = find_module(name)
    if not found or node not in found.nodes:
        of_node = [one.name for one in MODULES if node in one.nodes]
        raise ParameterError(f"module_type '{name}' is none of {node}{nearest(name, of_node)} (it has {', '.join(of_node)})")
    if found.missing:
        raise ParameterError(f"{name} {found.missing}")
    return found
