"""tests/data/goldens/autorag.json: what AutoRAG 0.3.27's own functions give for random inputs.

    autorag/bin/python tests/oracle/make_autorag_goldens.py [SEED]

(the venv of tools/compare_autorag). Sorts are made stable, as there.
"""
import datetime
import json
import random
import sys
from pathlib import Path

import numpy
import pandas

sort_values, argsort = pandas.DataFrame.sort_values, numpy.argsort
pandas.DataFrame.sort_values = lambda table, *a, **k: sort_values(table, *a, **{"kind": "stable", **k})
numpy.argsort = lambda values, *a, **k: argsort(values, *a, **{"kind": "stable", **k})

from autorag.evaluation.metric import generation, retrieval, retrieval_contents  # noqa: E402
from autorag.nodes.hybridretrieval.hybrid_cc import hybrid_cc  # noqa: E402
from autorag.nodes.hybridretrieval.hybrid_rrf import hybrid_rrf  # noqa: E402
from autorag.nodes.passagefilter import PercentileCutoff, RecencyFilter, ThresholdCutoff  # noqa: E402
from autorag.nodes.queryexpansion.base import check_expanded_query  # noqa: E402
from autorag.nodes.queryexpansion.multi_query_expansion import get_multi_query_expansion  # noqa: E402
from autorag.nodes.queryexpansion.query_decompose import get_query_decompose  # noqa: E402
from autorag.nodes.retrieval.base import evenly_distribute_passages  # noqa: E402
from autorag.schema.metricinput import MetricInput  # noqa: E402
from autorag.strategy import select_best  # noqa: E402
from autorag.utils.util import make_combinations  # noqa: E402

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
rng = random.Random(seed)
IDS = [f"d{i}" for i in range(12)]
WORDS = ["the", "A", "cat", "cats", "sat", "on", "mat,", "it's", "end.", "über", "x-ray", "42", "An", "<think>", "</think>"]


def number(value):
    return None if value is None or value != value else float(value)


def groups():
    kind = rng.random()
    if kind < 0.08:
        return [[]]
    if kind < 0.12:
        return [[rng.choice(IDS)], []]
    return [rng.sample(IDS, rng.randint(1, 3)) for _ in range(rng.randint(1, 3))]


def ranking(least=0, repeats=True):
    count = rng.randint(least, 8)
    return [rng.choice(IDS) for _ in range(count)] if repeats and rng.random() < 0.3 else rng.sample(IDS, count)


def text(least=0):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, 9)))


def metrics():
    cases = []
    for _ in range(60):
        truth, found = groups(), ranking()
        values = {name: number(getattr(retrieval, name)([MetricInput(retrieval_gt=truth, retrieved_ids=found)])[0])
                  for name in ("retrieval_f1", "retrieval_recall", "retrieval_precision", "retrieval_ndcg", "retrieval_mrr", "retrieval_map")}
        cases.append({"truth": truth, "found": found, "values": values})
    for _ in range(40):
        truth, found = [[text(1) for _ in range(rng.randint(1, 2))] for _ in range(rng.randint(1, 2))], [text() for _ in range(rng.randint(0, 3))]
        values = {name: number(getattr(retrieval_contents, name)([MetricInput(retrieval_gt_contents=truth, retrieved_contents=found)])[0])
                  for name in ("retrieval_token_f1", "retrieval_token_precision", "retrieval_token_recall")}
        cases.append({"truth": truth, "found": found, "values": values})
    for _ in range(40):
        truth, found = [text(1) for _ in range(rng.randint(0, 2))], rng.choice([text(), "", " ", text(3)])
        values = {name: number(getattr(generation, name)([MetricInput(generation_gt=truth, generated_texts=found)])[0]) for name in ("bleu", "rouge")}
        cases.append({"truth": truth, "found": found, "values": values})
    return cases


def strategies():
    """Without a combination whose first metric is missing everywhere: there AutoRAG takes it."""
    cases = []
    for _ in range(80):
        combos = [{name: [rng.choice([0.0, 0.25, 0.5, 1.0, round(rng.random(), 3), None]) for _ in range(4)] for name in ("m", "n")} for _ in range(rng.randint(1, 5))]
        if any(all(v is None for v in c[name]) for c in combos for name in c):
            continue
        tables = [pandas.DataFrame(c, dtype=float) for c in combos]
        best = {name: select_best(tables, ["m", "n"], list(range(len(tables))), name)[1] for name in ("mean", "rank", "normalize_mean")}
        cases.append({"combos": combos, "best": best})
    return cases


def scored(repeats=False):
    ids = ranking(1, repeats)
    return ids, sorted((rng.choice([0.0, 0.5, 1.0, round(rng.uniform(-1, 9), 3)]) for _ in ids), reverse=True)


def fusions():
    cases = []
    for _ in range(60):
        (si, ss), (li, ls) = scored(), scored()
        top_k, weight, k, method = rng.randint(1, 8), rng.choice([0.0, 0.3, 1.0, round(rng.random(), 2)]), rng.randint(4, 80), rng.choice(["mm", "tmm", "z", "dbsf"])
        with numpy.errstate(all="ignore"):
            cc = hybrid_cc(([si], [li]), ([ss], [ls]), top_k, weight, method)
        rrf = hybrid_rrf(([si], [li]), ([ss], [ls]), top_k, k)
        cases.append({"lists": [[si, ss], [li, ls]], "top_k": top_k, "weight": weight, "k": k, "method": method, "cc": [cc[0][0], cc[1][0]], "rrf": [rrf[0][0], rrf[1][0]]})
    return cases


def filters():
    cases = []
    for _ in range(40):
        ids, scores = scored(True)
        rng.shuffle(scores)
        first_ids, first_scores = scored(True)
        contents = [f"text {one}" for one in ids]
        lists = ([["f"] * len(first_ids), contents], [first_scores, scores], [first_ids, ids])
        threshold, percentile, reverse = rng.choice([0.0, 0.5, 4.0, 20.0]), rng.choice([0.0, 0.3, 0.7, 1.0]), rng.random() < 0.4
        times = [datetime.datetime(2020, 1, rng.randint(1, 9)) for _ in ids]
        since = datetime.date(2020, 1, rng.randint(1, 12))
        new = lambda kind: kind.__new__(kind)  # noqa: E731  without a project
        results = {
            "threshold": [one[1] for one in new(ThresholdCutoff)._pure(*lists, threshold, reverse)],
            "percentile": [one[1] for one in new(PercentileCutoff)._pure(["q", "q"], *lists, percentile, reverse)],
            "recency": [one[0] for one in new(RecencyFilter)._pure([contents], [scores], [ids], [times], since)],
        }
        cases.append({"ids": ids, "scores": scores, "contents": contents, "first": len(first_ids), "threshold": threshold, "percentile": percentile, "reverse": reverse,
                      "times": [str(one) for one in times], "since": str(since), "results": results})
    return cases


def several():
    cases = []
    for _ in range(30):
        lists = []
        for _ in range(rng.randint(2, 4)):
            ids = rng.sample(IDS, 8)
            lists.append([ids, sorted((round(rng.uniform(0, 1), 2) for _ in ids), reverse=True)])
        top_k = rng.randint(1, 8)
        ids, scores = evenly_distribute_passages([one[0] for one in lists], [one[1] for one in lists], top_k)
        order = sorted(range(len(ids)), key=lambda i: scores[i], reverse=True)
        cases.append({"lists": lists, "top_k": top_k, "ids": [ids[i] for i in order], "scores": [scores[i] for i in order]})
    return cases


def expansions():
    answers = ["The question needs no decomposition", "the question needs no decomposition", "1: who?\n2: what? : really", "Decompositions:\n1: a\n\n2: b\nno colon", "", "a\n\n b ",
               ":", "1:\n2: x", "nothing here"]
    return [{"query": "why", "answer": answer,
             "decompose": check_expanded_query("why", get_query_decompose("why", answer)),
             "several": check_expanded_query("why", get_multi_query_expansion("why", answer))} for answer in answers]


def combinations():
    """Each as a set: AutoRAG's order is a hash's."""
    cases = [{"a": 1}, {"a": [1, 2, 2, 1.0], "b": ["x", "y"]}, {"a": [[1], [1]], "b": 3}, {"a": "x", "b": [True, False, 1]}, {"p": [{"x": 1}, {"x": 2}], "k": [3]}]
    return [{"params": one, "combinations": [{k: list(v) if isinstance(v, tuple) else v for k, v in c.items()} for c in make_combinations(one)]} for one in cases]


out = {"seed": seed, "metrics": metrics(), "strategies": strategies(), "fusions": fusions(), "filters": filters(), "several": several(), "expansions": expansions(),
       "combinations": combinations()}
path = Path(__file__).parents[1] / "data/goldens/autorag.json"
path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
print(f"{path}: " + ", ".join(f"{len(value)} {key}" for key, value in out.items() if isinstance(value, list)))
