"""Metrics, strategies, fusions, filters and expansions beside AutoRAG's own functions (tests/oracle/make_autorag_goldens.py)."""
import json
import unittest

from support import ROOT, setUpModule  # noqa: F401

GOLDENS = json.loads((ROOT / "tests/data/goldens/autorag.json").read_text())


def hits(ids, scores, contents=None):
    from proctor.autorag.passages import Hits

    return Hits(ids, contents or ids, scores)


class Functions(unittest.TestCase):
    def near(self, ours, theirs, case):
        if theirs is None:
            self.assertIsNone(ours, case)
        else:
            self.assertAlmostEqual(ours, theirs, delta=1e-12 * max(1, abs(theirs)), msg=str(case))

    def test_metrics(self):
        from proctor.autorag.metrics import rows_of

        for case in GOLDENS["metrics"]:
            for name, theirs in case["values"].items():
                (ours,) = rows_of(name, [case["truth"]], [case["found"]])
                self.near(ours, theirs, (name, case))

    def test_strategies(self):
        from proctor.autorag.strategy import best

        for case in GOLDENS["strategies"]:
            for name, theirs in case["best"].items():
                if name == "mean" and all(value is None for column in case["combos"][0].values() for value in column):
                    continue
                self.assertEqual(best(case["combos"], name), theirs, (name, case))

    def test_a_mean_of_nothing_never_wins(self):
        from proctor.autorag.strategy import NAMES, best, within

        nothing, some = {"m": [None, None]}, {"m": [0.0, None]}
        for name in NAMES[:2]:
            self.assertEqual(best([nothing, some], name), 1, name)
        self.assertEqual(best([nothing, nothing], "mean"), 0)
        self.assertEqual(within([3.0, 1.0, 2.0], 2, [0, 1, 2]), [1, 2])
        self.assertEqual(within([3.0, 1.0, 2.0], 0.5, [0, 2]), [0, 2])
        self.assertEqual(within([3.0, 1.0, 2.0], None, [0, 2]), [0, 2])

    def test_fusions(self):
        from proctor.autorag.passages import convex, fused, normalized, reciprocal_ranks

        for case in GOLDENS["fusions"]:
            cc = fused(convex(normalized(case["lists"], case["method"], (-1.0, 0.0)), case["weight"]), case["top_k"])
            for ours, theirs in ((cc, case["cc"]), (fused(reciprocal_ranks(case["lists"], case["k"]), case["top_k"]), case["rrf"])):
                for a, b in zip(ours[1], theirs[1], strict=True):
                    self.near(a, b, case)
                self.same_levels(ours, theirs, case)

    def same_levels(self, ours, theirs, case):
        """Scores that differ by rounding alone have no order; the last level may be cut off."""
        def levels(ids, scores):
            out = {}
            for one, score in zip(ids, scores, strict=True):
                out.setdefault(round(score, 9), set()).add(one)
            return [ids for score, ids in sorted(out.items(), reverse=True)][:-1]

        self.assertEqual(levels(*ours), levels(*theirs), case)

    def test_filters(self):
        import datetime

        from proctor.autorag.passages import as_datetime, at_least, best_share, recent

        for case in GOLDENS["filters"]:
            row = hits(case["ids"], case["scores"], case["contents"])
            times = [datetime.datetime.fromisoformat(one) for one in case["times"]]
            ours = {
                "threshold": at_least(row, case["threshold"], case["reverse"]),
                "percentile": best_share(row, max(1, int(case["first"] * case["percentile"])), case["reverse"]),
                "recency": recent(row, times, as_datetime(case["since"])),
            }
            for name, kept in ours.items():
                parts = {"contents": kept.contents, "ids": kept.ids, "scores": kept.scores}
                order = ("contents", "scores", "ids") if name == "threshold" else ("contents", "ids", "scores")
                self.assertIn([parts[one] for one in order], (case["results"][name], [case["results"][name][i] for i in (0, 2, 1)]), (name, case))

    def test_several_queries(self):
        from proctor.autorag.passages import together

        for case in GOLDENS["several"]:
            merged = together([hits(*one) for one in case["lists"]], case["top_k"])
            self.assertEqual((merged.ids, merged.scores), (case["ids"], case["scores"]))

    def test_a_passage_twice_is_asked_twice(self):
        from proctor.autorag.catalogue import Model
        from proctor.autorag.stages import names_of, numbered, without_repeats

        self.assertEqual(list(numbered(["a", "b", "a"])), [("a", 0), ("b", 0), ("a", 1)])
        models = [Model({"path": "x/m"}), Model({"kind": "bm25"}), Model({"path": "y/m"}), Model({"path": "x/m"})]
        self.assertEqual(names_of(without_repeats(models)), ["m-0", "bm25", "m-2"])

    def test_expansions(self):
        from proctor.autorag.expansion import queries_of

        for case in GOLDENS["expansions"]:
            self.assertEqual(queries_of("query_decompose", case["query"], case["answer"]), case["decompose"], case)
            self.assertEqual(queries_of("multi_query_expansion", case["query"], case["answer"]), case["several"], case)
        self.assertEqual(queries_of("hyde", "why", " a passage \n"), ["a passage"])
        self.assertEqual(queries_of("hyde", "why", " \n"), ["why"])


if __name__ == "__main__":
    unittest.main()
