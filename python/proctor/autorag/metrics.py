"""AutoRAG's metrics, row by row. A row that lacks what a metric needs (an empty answer, no ground truth) has None, and no mean counts it.

Retrieval metrics take the ground truth as groups of passages of which any one answers; formulas: AutoRAG 0.3.27, evaluation/metric/*.py.
"""

from __future__ import annotations

import collections
import functools
import itertools
import math
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

from proctor.autorag.catalogue import Model, embedder
from proctor.autorag.errors import Omissions, nearest

Value = float | None
Groups = list[list[str]]
THINKING = re.compile(r"<think(?:ing)?>[\s\S]*?</think(?:ing)?>\s*", re.IGNORECASE)


def is_there(value: Any) -> bool:
    """Not missing, empty or blank, in any part of it."""
    if value is None:
        return False
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, list):
        return bool(value) and all(map(is_there, value))
    return True


def group_hits(truth: Groups, found: Sequence[str]) -> int:
    return sum(any(one in group for one in found) for group in truth)


def recall(truth: Groups, found: list[str]) -> float:
    return group_hits(truth, found) / len(truth)


def precision(truth: Groups, found: list[str]) -> float:
    return sum(any(one in group for group in truth) for one in set(found)) / len(found)


def f1(truth: Groups, found: list[str]) -> float:
    r, p = recall(truth, found), precision(truth, found)
    return 2 * (r * p) / (r + p) if r + p else 0


def ndcg(truth: Groups, found: list[str]) -> float:
    """Every passage of the ground truth counts as an ideal hit, also of one group."""
    relevant = set(itertools.chain.from_iterable(truth))
    gained = sum(1 / math.log2(i + 2) for i, one in enumerate(found) if one in relevant)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(sum(map(len, truth)), len(found))))
    return gained / ideal if ideal else 0


def mrr(truth: Groups, found: list[str]) -> float:
    firsts = (next((i for i, one in enumerate(found) if one in group), None) for group in truth)
    return sum(1 / (i + 1) for i in firsts if i is not None) / len(truth)


def mean_average_precision(truth: Groups, found: list[str]) -> float:
    total = 0.0
    for group in truth:
        places = [i for i, one in enumerate(found) if one in group]
        if places:
            total += sum((n + 1) / (i + 1) for n, i in enumerate(places)) / len(places)
    return total / len(truth)


def words(text: str) -> list[str]:
    """SQuAD's normalised text, cut at white space."""
    bare = "".join(one for one in text.lower() if one not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def shared_words(truth: str, found: str) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    ours, theirs = words(found), words(truth)
    same = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    if not same:
        return 0, 0, 0
    p, r = same / len(ours), same / len(theirs)
    return p, r, 2 * p * r / (p + r)


def contents_metric(part: int, truth: list[list[str]], found: list[str]) -> float:
    """Of each passage its best likeness to any of the ground truth's, their mean."""
    golds = list(itertools.chain.from_iterable(truth))
    return sum(max(shared_words(gold, one)[part] for gold in golds) for one in found) / len(found)


@functools.cache
def _bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True)


def bleu(truth: list[str], text: str) -> float:
    return _bleu().sentence_score(THINKING.sub("", text), truth).score


@functools.cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=False)


def rouge(truth: list[str], text: str) -> float:
    return _rouge().score_multi(targets=truth, prediction=THINKING.sub("", text))["rougeL"].fmeasure


def meteor(truth: list[str], text: str, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5) -> float:
    """Of Hugging Face's evaluate: NLTK's, over its words, the best of the references."""
    from nltk import word_tokenize
    from nltk.translate.meteor_score import single_meteor_score

    words = word_tokenize(THINKING.sub("", text))
    return max(single_meteor_score(word_tokenize(one), words, alpha=alpha, beta=beta, gamma=gamma) for one in truth)


RETRIEVAL: dict[str, Callable[[Groups, list[str]], float]] = {
    "retrieval_f1": f1,
    "retrieval_recall": recall,
    "retrieval_precision": precision,
    "retrieval_ndcg": ndcg,
    "retrieval_mrr": mrr,
    "retrieval_map": mean_average_precision,
}
CONTENTS: dict[str, Callable[[list[list[str]], list[str]], float]] = {
    "retrieval_token_f1": functools.partial(contents_metric, 2),
    "retrieval_token_precision": functools.partial(contents_metric, 0),
    "retrieval_token_recall": functools.partial(contents_metric, 1),
}
BY_VECTORS = "sem_score"  # the greatest cosine with a reference; proctor embeds both


def embedder_of(params: dict[str, Any]) -> Model:
    return embedder(params.get("embedding_model", "huggingface_all_mpnet_base_v2"))


GENERATION: dict[str, Callable[..., float] | None] = {"bleu": bleu, "meteor": meteor, "rouge": rouge, BY_VECTORS: None}
PARAMETERS = {"meteor": ("alpha", "beta", "gamma"), BY_VECTORS: ("embedding_model", "batch")}
ELSEWHERE = {
    "bert_score": "is not there yet",
    "g_eval": "asks a service on the network; a judge is a task of proctor's own (docs/chains.md)",
    "deepeval_faithfulness": "asks a service on the network; a judge is a task of proctor's own (docs/chains.md)",
}
OF_NODE = {
    "query_expansion": RETRIEVAL,
    "lexical_retrieval": RETRIEVAL,
    "semantic_retrieval": RETRIEVAL,
    "hybrid_retrieval": RETRIEVAL,
    "passage_augmenter": RETRIEVAL,
    "passage_reranker": RETRIEVAL,
    "passage_filter": RETRIEVAL,
    "passage_compressor": CONTENTS,
    "prompt_maker": GENERATION,
    "generator": GENERATION,
}


def named(metric: Any) -> tuple[str, dict[str, Any]]:
    """A metric's name and parameters; strategies have a name, or {metric_name, ...}."""
    if isinstance(metric, dict):
        params = dict(metric)
        return params.pop("metric_name", ""), params
    return metric, {}


def check(metrics: list[Any], node: str, where: str, omissions: Omissions) -> list[Any]:
    """Those that can be computed. Throws ConfigError for another, unless it may be left out."""
    kept = []
    for metric in metrics:
        name, params = named(metric)
        table = OF_NODE[node]
        why = ""
        if name in table and (other := [key for key in params if key not in PARAMETERS.get(name, ())]):
            why = f"metric {name} has no parameter {other[0]} here"
        elif name in table:
            why = why_not(name) if table is GENERATION else ""
        elif table is GENERATION and name in ELSEWHERE:
            why = f"metric {name} {ELSEWHERE[name]}"
        else:
            why = f"metric '{name}' is none of {node}{nearest(str(name), list(table))} (it has {', '.join(table)})"
        if why:
            omissions.leave_out(where, why)
        else:
            kept.append(metric)
    return kept


def why_not(name: str) -> str:
    """Of a metric over texts, tried on a few words, so that a package or its data is found missing before anything runs."""
    function = GENERATION[name]
    try:
        if function:
            function(["a few words"], "other terms")
    except ImportError as error:
        return f"metric {name} needs Python's {error.name}; install it there (pip install 'proctor-eval[autorag]')"
    except LookupError:
        return f"metric {name} needs data of NLTK; fetch it once (python3 -m nltk.downloader wordnet punkt_tab)"
    return ""


def rows_of(metric: Any, truths: list[Any], found: list[Any]) -> list[Value]:
    """Of each row; of a metric by vectors, see text_nodes.text_columns."""
    name, params = named(metric)
    function = functools.partial({**RETRIEVAL, **CONTENTS, **GENERATION}[name], **params)
    return [function(truth, one) if is_there(truth) and is_there(one) else None for truth, one in zip(truths, found, strict=True)]
