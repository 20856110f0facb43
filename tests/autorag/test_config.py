"""AutoRAG's YAML: combinations in the file's order, what is refused, by file and line, and what may be left out."""
import json
import tempfile
import unittest
from pathlib import Path

from support import ROOT, setUpModule  # noqa: F401

GOLDENS = json.loads((ROOT / "tests/data/goldens/autorag.json").read_text())
HEAD = "node_lines:\n- node_line_name: a\n  nodes:\n"
FIND = "  - {node_type: lexical_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: 3, modules: [{module_type: bm25}]}\n"
NEAR = ("  - {node_type: semantic_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: 3, modules: [{module_type: vectordb, vectordb: v}]}\n")
VECTORS = "vectordb: [{name: v, db_type: chroma, embedding_model: {type: huggingface, model_name: m}}]\n"


class Configuration(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "config.yaml"

    def tearDown(self):
        self.folder.cleanup()

    def read(self, text, skip_unknown=False, **environment):
        from proctor.autorag.checked import Checker
        from proctor.autorag.config import Reader

        self.path.write_text(text)
        config = Reader(self.path, Path("/project"), skip_unknown, environment).read()
        return config, Checker(config, skip_unknown).nodes()

    def refused(self, said, text, skip_unknown=False):
        from proctor.autorag.errors import ConfigError

        with self.assertRaises(ConfigError) as caught:
            self.read(text, skip_unknown)
        self.assertIn(said, str(caught.exception))

    def test_combinations_are_autorags(self):
        from proctor.autorag.config import Reader

        for case in GOLDENS["combinations"]:
            ours = [{key: list(value) if isinstance(value, tuple) else value for key, value in used.items()}
                    for used, _ in Reader(self.path, Path("/project"), False, {}).combinations(case["params"])]
            as_set = lambda rows: sorted(json.dumps(row, sort_keys=True) for row in rows)  # noqa: E731
            self.assertEqual(as_set(ours), as_set(case["combinations"]), case["params"])

    def test_combinations_come_in_the_files_order(self):
        config, _ = self.read(HEAD + "  - {node_type: lexical_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: [5, 3, 5], modules: "
                              "[{module_type: BM25, bm25_tokenizer: [space, porter_stemmer]}]}\n")
        combos = [(one.params["top_k"], one.params["bm25_tokenizer"]) for one in config.lines[0].nodes[0].combos]
        self.assertEqual(combos, [(5, "space"), (5, "porter_stemmer"), (3, "space"), (3, "porter_stemmer")])

    def test_variables_and_tuples(self):
        text = HEAD + FIND + NEAR + ("  - {node_type: hybrid_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: 3, modules: [{module_type: hybrid_rrf, "
                                     "weight_range: \"(4, 6)\", my_api_key: \"${SECRET}\", note: \"${NAME} (a)\"}]}\n")
        config, checked = self.read(VECTORS + text, NAME="x", SECRET="y")
        combo = config.lines[0].nodes[2].combos[0]
        self.assertEqual((combo.params["weight_range"], combo.params["my_api_key"], combo.params["note"]), ((4, 6), "y", "x (a)"))
        self.assertEqual(combo.shown["my_api_key"], "${SECRET}")
        self.assertTrue(any("my_api_key, note changes nothing here" in note for note in config.notes), config.notes)

    def test_what_is_refused(self):
        at = f"{self.path}:"
        generator = "  - {node_type: generator, strategy: {metrics: [bleu]}, modules: [{module_type: %s}]}\n"
        prompts = "  - {node_type: prompt_maker, strategy: {metrics: [bleu]%s}, modules: [{module_type: fstring, prompt: [%s]}]}\n"
        mock = "llama_index_llm, llm: mock"
        for said, text in (
            (f"{at}1: expected node_lines", "nodes: []\n"),
            (f"{at}2: is no YAML", "a: b\n c: [\n"),
            (f"{at}4: node_type 'lexical_retrival' is not known; did you mean 'lexical_retrieval'?", HEAD + FIND.replace("retrieval,", "retrival,", 1)),
            (f"{at}4: lexical_retrieval lacks strategy", HEAD + FIND.replace("strategy: {metrics: [retrieval_f1]}, ", "")),
            (f"{at}4: module_type 'bm24' is none of lexical_retrieval; did you mean 'bm25'?", HEAD + FIND.replace("bm25", "bm24")),
            (f"{at}4: module_type 'vectordb' is none of lexical_retrieval", HEAD + FIND.replace("bm25", "vectordb")),
            ("top_k: expected a whole number of at least 1, found 0", HEAD + FIND.replace("top_k: 3", "top_k: 0")),
            ("top_k: at most 100, found 200", HEAD + FIND.replace("top_k: 3", "top_k: 200")),
            ("top_k is missing", HEAD + FIND.replace("top_k: 3, ", "")),
            ("bm25_tokenizer: 'ko_okt' is not there", HEAD + FIND.replace("bm25}", "bm25, bm25_tokenizer: ko_okt}")),
            ("metric 'retrieval_f2' is none of lexical_retrieval; did you mean 'retrieval_f1'?", HEAD + FIND.replace("retrieval_f1", "retrieval_f2")),
            ("lexical_retrieval has no metrics", HEAD + FIND.replace("metrics: [retrieval_f1]", "")),
            ("strategy 'best' is not known", HEAD + FIND.replace("[retrieval_f1]", "[retrieval_f1], strategy: best")),
            ("strategy has no key 'speed_treshold'; did you mean 'speed_threshold'?", HEAD + FIND.replace("[retrieval_f1]", "[retrieval_f1], speed_treshold: 3")),
            ("lexical_retrieval stands in this file twice", HEAD + FIND + FIND),
            ("vectordb: 'v' is not in the vectordb section", HEAD + NEAR),
            ("asks a service on the network", VECTORS.replace("{type: huggingface, model_name: m}", "openai") + HEAD + NEAR),
            ("hybrid_retrieval fuses lexical_retrieval and semantic_retrieval", HEAD + FIND +
             "  - {node_type: hybrid_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: 3, modules: [{module_type: hybrid_rrf}]}\n"),
            ("passage_filter works on passages, and no retrieval node stands before it", HEAD +
             "  - {node_type: passage_filter, strategy: {metrics: [retrieval_f1]}, modules: [{module_type: pass_passage_filter}]}\n"),
            ("cohere_reranker asks a service on the network", HEAD + FIND +
             "  - {node_type: passage_reranker, strategy: {metrics: [retrieval_f1]}, top_k: 2, modules: [{module_type: cohere_reranker}]}\n"),
            ("generator answers prompts", HEAD + FIND + generator % mock),
            ("prompt: KeyError 'quary'", HEAD + FIND + prompts % ("", "\"{quary}\"")),
            ("generators are compared by generator_modules", HEAD + FIND + prompts % ("", "\"{query}\", \"a {query}\"")),
            ("metric g_eval asks a service", HEAD + FIND + prompts % ("", "\"{query}\"") + (generator % mock).replace("bleu", "g_eval")),
            ("llm: 'openai' asks a service on the network", HEAD + FIND + prompts % ("", "\"{query}\"") + generator % "llama_index_llm, llm: openai"),
            ("vllm_api asks a service on the network", HEAD + FIND + prompts % ("", "\"{query}\"") + generator % "vllm_api"),
            ("weight_range: expected \"(least, most)\" within 0 and 1", VECTORS + HEAD + FIND + NEAR +
             "  - {node_type: hybrid_retrieval, strategy: {metrics: [retrieval_f1]}, top_k: 3, modules: [{module_type: hybrid_cc, weight_range: \"(0, 2)\"}]}\n"),
        ):
            with self.subTest(said):
                self.refused(said, text)

    def test_what_is_not_there_may_be_left_out(self):
        text = HEAD + FIND + ("  - {node_type: passage_reranker, strategy: {metrics: [retrieval_f1, retrieval_g1]}, top_k: 2, modules: "
                              "[{module_type: cohere_reranker}, {module_type: pass_reranker}, {module_type: rankgpt, llm: openai}]}\n")
        config, checked = self.read(text, skip_unknown=True)
        self.assertEqual([one.combo.type.name for one in checked["passage_reranker"].candidates], ["pass_reranker"])
        self.assertEqual(checked["passage_reranker"].metric_names, ["retrieval_f1"])
        self.assertEqual(sum("left out" in note for note in config.notes), 3, config.notes)
        self.refused("passage_reranker has no module left", text.replace(", {module_type: pass_reranker}", ""), skip_unknown=True)

    def test_what_changes_nothing_is_told(self):
        config, _ = self.read(HEAD + FIND.replace("[retrieval_f1]", "[retrieval_f1], speed_threshold: null, colour: red"))
        self.assertEqual(config.notes, [f"{self.path}:4: strategy: colour changes nothing here"])
        text = HEAD + ("  - {node_type: query_expansion, strategy: {}, modules: [{module_type: hyde, generator_module_type: %s, llm: m, stop: [[a, b]]}]}\n" + FIND)
        _, checked = self.read(text % "vllm")
        self.assertEqual(checked["query_expansion"].candidates[0].model.task["until"], ["a", "b"])
        self.refused("generator_module_type: 'bm25' is no generator", text % "bm25")
        self.refused("generator_module_type: vllm_api asks a service", text % "vllm_api")

    def test_models(self):
        from proctor.autorag.catalogue import MODULES, find_module

        vllm = find_module("Vllm").model({"llm": "m", "tensor_parallel_size": 2, "top_k": -1, "stop": "x", "temperature": 0})
        self.assertEqual((vllm.module, vllm.task), ({"path": "m", "tensor_parallel": 2}, {"temperature": 0, "max_gen_toks": 16, "until": ["x"]}))
        hf = find_module("llama_index_llm").model({"llm": "huggingfacellm", "model_name": "m", "generate_kwargs": {"do_sample": True, "temperature": 0.5}})
        self.assertEqual(hf.task, {"max_gen_toks": 256, "until": [], "temperature": 0.5, "top_k": 50})
        self.assertEqual(len({one.name for one in MODULES}), len(MODULES))


if __name__ == "__main__":
    unittest.main()
