#!/usr/bin/env python3
"""lm-eval 0.4.13's aggregations and standard errors on made-up values -> tests/data/goldens/scoring_goldens.json

    make_scoring_goldens.py > ../data/goldens/scoring_goldens.json
"""
import contextlib
import json
import random
import sys

from lm_eval.api import metrics

RANDOM = random.Random(5)
ACC = [float(RANDOM.random() < 0.6) for _ in range(97)]
LL = [-10 * RANDOM.random() for _ in range(61)]
PAIRS = [(-50 * RANDOM.random(), RANDOM.randint(5, 60)) for _ in range(23)]


def one(metric, aggregation, values, iterations=2000):
    error = metrics.stderr_for_metric(aggregation, iterations)
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it bootstraps
        return {"metric": metric, "values": values, "value": aggregation(values), "iterations": iterations, "stderr": error(values) if error else None}


MEMBERS = [[0.6, 0.05, 97], [0.25, 0.08, 31], [0.9, 0.01, 800]]
values, errors, sizes = zip(*MEMBERS)
print(json.dumps({"metrics": [one("acc", metrics.mean, ACC), one("perplexity", metrics.perplexity, LL),
                              one("word_perplexity", metrics.weighted_perplexity, PAIRS), one("bits_per_byte", metrics.bits_per_byte, PAIRS)],
                  "groups": [{"members": MEMBERS, "value": metrics.aggregate_subtask_metrics(values, sizes),
                              "stderr": metrics.pooled_sample_stderr(errors, sizes)}]}))
