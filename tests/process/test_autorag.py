"""`proctor autorag`: a project of AutoRAG on tiny models. Its files, the same for any ranks and after kills; a second start, another trial, bad input."""
import ast
import importlib.util
import json
import random
import sys
import unittest

from support import RunCase, tiny_models, words

NEEDED = ("pandas", "pyarrow", "yaml", "emoji", "sacrebleu", "rouge_score")
PASSAGES, QUESTIONS = 14, 4
EMBEDDER = {"type": "huggingface", "model_name": "bert"}
WRITER = {"module_type": "vllm", "llm": "llama", "max_tokens": 4}
MOCK = {"module_type": "llama_index_llm", "llm": "mock"}
FOUND = {"metrics": ["retrieval_f1", "retrieval_ndcg"]}
CONFIG = {
    "vectordb": [{"name": "v", "db_type": "chroma", "embedding_model": EMBEDDER, "collection_name": "c", "path": "${PROJECT_DIR}/resources/chroma"}],
    "node_lines": [
        {"node_line_name": "before", "nodes": [
            {"node_type": "query_expansion", "strategy": {**FOUND, "top_k": 4, "retrieval_modules": [{"module_type": "bm25"}, {"module_type": "vectordb", "vectordb": "v"}]},
             "modules": [{"module_type": "pass_query_expansion"},
                         {"module_type": "multi_query_expansion", "generator_module_type": "llama_index_llm", "llm": "huggingfacellm", "model_name": "llama",
                          "max_new_tokens": 6}]}]},
        {"node_line_name": "find", "nodes": [
            {"node_type": "lexical_retrieval", "strategy": FOUND, "top_k": 5, "modules": [{"module_type": "bm25", "bm25_tokenizer": ["porter_stemmer", "space"]}]},
            {"node_type": "semantic_retrieval", "strategy": FOUND, "top_k": 5, "modules": [{"module_type": "vectordb", "vectordb": "v"}]},
            {"node_type": "hybrid_retrieval", "strategy": FOUND, "top_k": 5,
             "modules": [{"module_type": "hybrid_rrf", "weight_range": "(4, 9)"}, {"module_type": "hybrid_cc", "normalize_method": ["mm", "tmm"], "test_weight_size": 5}]},
            {"node_type": "passage_augmenter", "strategy": FOUND, "top_k": 6,
             "modules": [{"module_type": "pass_passage_augmenter"}, {"module_type": "prev_next_augmenter", "mode": "next", "embedding_model": EMBEDDER}]},
            {"node_type": "passage_reranker", "strategy": {**FOUND, "strategy": "normalize_mean"}, "top_k": 4,
             "modules": [{"module_type": "pass_reranker"}, {"module_type": "sentence_transformer_reranker", "model_name": "pairs"}, {"module_type": "koreranker"},
                         {"module_type": "time_reranker"}]},
            {"node_type": "passage_filter", "strategy": FOUND,
             "modules": [{"module_type": "threshold_cutoff", "threshold": 0.1}, {"module_type": "recency_filter", "threshold_datetime": "2020-01-05"},
                         {"module_type": "similarity_percentile_cutoff", "percentile": 0.5, "embedding_model": EMBEDDER}]},
            {"node_type": "passage_compressor", "strategy": {"metrics": ["retrieval_token_f1"]},
             "modules": [{"module_type": "pass_compressor"}, {"module_type": "longllmlingua", "model_name": "llama_long", "target_token": [60, 90]}]}]},
        {"node_line_name": "answer", "nodes": [
            {"node_type": "prompt_maker", "strategy": {"metrics": ["bleu", "rouge"], "generator_modules": [WRITER, MOCK]},
             "modules": [{"module_type": "fstring", "prompt": ["{query}: {retrieved_contents}", "{retrieved_contents} {query}?"]},
                         {"module_type": "chat_fstring", "prompt": [[{"role": "user", "content": "{query} {retrieved_contents}"}]]}]},
            {"node_type": "generator", "strategy": {"metrics": [{"metric_name": "rouge"}, {"metric_name": "sem_score", "embedding_model": EMBEDDER}], "strategy": "rank"},
             "modules": [{**WRITER, "temperature": [0, 0.8]}, MOCK]}]}],
}


@unittest.skipIf(any(importlib.util.find_spec(name) is None for name in NEEDED), f"needs {', '.join(NEEDED)}, so that it cannot be started here")
class Autorag(RunCase):
    def setUp(self):
        import datetime

        import pandas
        super().setUp()
        rng = random.Random(5)
        for name, kind in (("bert", "bert"), ("pairs", "bert_pairs")):
            tiny_models.write_encoder(self.root / name, kind)
        tiny_models.write_model(self.root / "llama_long", "llama", max_position_embeddings=4096)
        (self.root / "llama/chat_template.jinja").write_text("[{{ messages[-1]['content'] }}]")
        ids = [f"p {i}" for i in range(PASSAGES)]
        metadata = [{"last_modified_datetime": datetime.datetime(2020, 1, 1 + i), "prev_id": ids[i - 1] if i else None, "next_id": ids[i + 1] if i + 1 < PASSAGES else None}
                    for i in range(PASSAGES)]
        pandas.DataFrame({"doc_id": ids, "contents": [words(rng, 2 + i % 7) for i in range(PASSAGES)], "metadata": metadata}).to_parquet(self.root / "corpus.parquet")
        truth = [[[ids[0]]], [[ids[3], ids[4]], [ids[5]]], [[ids[7]]], [[ids[9]]]]
        pandas.DataFrame({"qid": [f"q{i}" for i in range(QUESTIONS)], "query": [words(rng, 4) for _ in range(QUESTIONS)], "retrieval_gt": truth,
                          "generation_gt": [[words(rng, 2)] for _ in range(QUESTIONS)]}).to_parquet(self.root / "qa.parquet")
        self.write("config.yaml", CONFIG)

    def autorag(self, project, *more, ranks=0, workers=1, code=0, config="config.yaml", qa="qa.parquet", environment=None):
        done = self.proctor("autorag", config, "--qa", qa, "--corpus", "corpus.parquet", "--project", project, "--workers", str(workers), "--device", "cpu", "--progress",
                            "none", "--model", "Dongjin-kr/ko-reranker=pairs", *more, ranks=ranks, environment={"PROCTOR_PYTHON": sys.executable, **(environment or {})})
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def files(self, project):
        """All of a trial but seconds."""
        import pandas
        root, out = self.root / project / "0", {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.suffix == ".csv":
                table = pandas.read_csv(path)
                out[name] = table.drop(columns=[one for one in table.columns if one.endswith("execution_time")]).to_csv()
            elif path.is_file():
                out[name] = path.read_bytes()
        return out

    def test_a_project(self):
        import pandas
        first = self.autorag("one")
        self.assertEqual(first.stderr.count("no GPU was found"), 0, "--device cpu says so")
        trial = self.root / "one/0"
        for node in (node for line in CONFIG["node_lines"] for node in line["nodes"]):
            line = next(line["node_line_name"] for line in CONFIG["node_lines"] if node in line["nodes"])
            table = pandas.read_csv(trial / line / node["node_type"] / "summary.csv")
            self.assertEqual(table["is_best"].sum(), 1)
            self.assertEqual(list(table.columns[:4]), ["filename", "module_name", "module_params", "execution_time"])
            self.assertEqual(list(table["filename"]), [f"{i}.parquet" for i in range(len(table))])
            for params in table["module_params"]:
                self.assertIsInstance(ast.literal_eval(params), dict)
            (best,) = (trial / line / node["node_type"]).glob("best_*.parquet")
            self.assertEqual(best.name, "best_" + table[table["is_best"]]["filename"].iloc[0])
            for name in table["filename"]:
                self.assertEqual(len(pandas.read_parquet(trial / line / node["node_type"] / name)), QUESTIONS)
        whole = pandas.read_csv(trial / "summary.csv")
        self.assertEqual(list(whole.columns), ["node_line_name", "node_type", "best_module_filename", "best_module_name", "best_module_params", "best_execution_time"])
        self.assertEqual(len(whole), 10)
        last = pandas.read_parquet(next((trial / "answer/generator").glob("best_*.parquet")))
        self.assertEqual(list(last.columns[:4]), ["qid", "query", "retrieval_gt", "generation_gt"])
        self.assertLess({"queries", "retrieved_ids", "retrieved_ids_lexical", "retrieved_ids_semantic", "prompts", "generated_texts", "passage_reranker_retrieval_f1"}, set(last.columns))
        for ledger in (self.root / "one/proctor/0").glob("*/run/ledger.jsonl"):
            for visit in ledger.read_text().splitlines():
                self.assertEqual(json.loads(visit)["verdict"], "clean", ledger)
        self.assertEqual((trial / "config.yaml").read_bytes(), (self.root / "config.yaml").read_bytes())
        self.assertIn("embedding_model", (self.root / "one/resources/vectordb.yaml").read_text())
        expected = self.files("one")
        again = self.autorag("one")
        self.assertEqual(again.stdout, first.stdout)
        self.assertNotIn("proctor/0/", again.stderr)
        self.autorag("two", ranks=2)
        self.assertEqual(self.files("two"), expected)
        self.autorag("one", "--fresh", workers=2)
        self.assertEqual([one["trial_name"] for one in json.loads((self.root / "one/trial.json").read_text())], ["0", "1"])
        self.assertEqual(pandas.read_csv(self.root / "one/1/summary.csv")["best_module_filename"].tolist(), whole["best_module_filename"].tolist())

    def test_kills(self):
        """Each start is killed later than the one before: in the middle of a step, between two, at the end."""
        self.autorag("calm")
        kills = 0
        for attempt in range(1, 30):
            done = self.autorag("killed", ranks=2 if attempt % 3 == 0 else 0, workers=1 + attempt % 2, code=None,
                                environment={"PROCTOR_TEST_STORE": json.dumps({"operation": 60 * attempt, "action": "kill"})})
            if done.returncode == 0:
                break
            kills += 1
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(kills, 4)
        self.assertEqual(self.files("killed"), self.files("calm"))

    def test_bad_input(self):
        import pandas
        qa = pandas.read_parquet(self.root / "qa.parquet")
        wrong = qa.copy()
        wrong.at[1, "retrieval_gt"] = [["nowhere"]]
        wrong.to_parquet(self.root / "wrong.parquet")
        qa.drop(columns="query").to_parquet(self.root / "bare.parquet")
        self.write("unknown.yaml", json.dumps(CONFIG).replace("\"pairs\"", "\"org/none\""))
        self.write("typo.yaml", json.dumps(CONFIG).replace("koreranker", "coreranker"))
        self.write("none.yaml", "")
        for said, given in (
            ("wrong.parquet: row 2: retrieval_gt: passage 'nowhere' is not in the corpus", {"qa": "wrong.parquet"}),
            ("bare.parquet: has no column 'query' (it has qid, retrieval_gt, generation_gt)", {"qa": "bare.parquet"}),
            ("config.yaml: cannot be read as Parquet", {"qa": "config.yaml"}),
            ("nowhere.parquet: there is no such file", {"qa": "nowhere.parquet"}),
            ("org/none: neither a folder nor in the Hugging Face cache", {"config": "unknown.yaml"}),
            ("module_type 'coreranker' is none of passage_reranker; did you mean 'koreranker'?", {"config": "typo.yaml"}),
            ("none.yaml:1: expected node_lines", {"config": "none.yaml"}),
            ("nowhere.yaml: No such file or directory", {"config": "nowhere.yaml"}),
        ):
            with self.subTest(said):
                self.assertIn(said, self.autorag("bad", code=5, **given).stderr)
                self.assertFalse((self.root / "bad").exists())
        self.assertIn("--model nothing: expected NAME=FOLDER", self.autorag("bad", "--model", "nothing", code=5).stderr)
        done = self.proctor("autorag", "config.yaml", "--qa", "qa.parquet", "--project", "bad")
        self.assertEqual((done.returncode, "--corpus is missing" in done.stderr), (2, True), done.stderr)

    def test_a_project_keeps_its_data(self):
        import pandas
        self.write("short.yaml", {"node_lines": [CONFIG["node_lines"][1] | {"nodes": CONFIG["node_lines"][1]["nodes"][:1]}]})
        self.autorag("kept", config="short.yaml")
        pandas.read_parquet(self.root / "qa.parquet").iloc[:2].to_parquet(self.root / "half.parquet")
        self.assertIn("half.parquet: is not what the project was begun with", self.autorag("kept", config="short.yaml", qa="half.parquet", code=5).stderr)
        self.write("short.yaml", {"node_lines": [CONFIG["node_lines"][1] | {"nodes": CONFIG["node_lines"][1]["nodes"][:2]}], "vectordb": CONFIG["vectordb"]})
        self.autorag("kept", config="short.yaml")
        self.assertTrue((self.root / "kept/1/summary.csv").is_file())


if __name__ == "__main__":
    unittest.main()
