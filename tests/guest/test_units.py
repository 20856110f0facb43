#!/usr/bin/env python3
"""How requests are read and cut into units, and what `check` and `probe` say; without a socket."""

import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

from agent import HERE, ODD, PYTHON, run

sys.path.insert(0, str(PYTHON))

from proctor.guest import Engine, Image, Trace  # noqa: E402
from proctor.guest.errors import BadAnswer, BadRequest  # noqa: E402
from proctor.guest.folder import folder_hash, model_hash  # noqa: E402
from proctor.guest.requests import Draw, Generate, Reasoning, request_from  # noqa: E402
from proctor.guest.units import cut  # noqa: E402


def generate(text, index=0, **ask):
    return request_from(index, {"parts": [text], "ask": {"type": "generate_until", "max_gen_toks": 10, **ask}})


def indices(units):
    return [[one.index for one in unit] for unit in units]


def engine(**attributes):
    return type("Some", (Engine,), attributes)


class Requests(unittest.TestCase):
    def test_defaults_are_those_of_the_wire(self):
        self.assertEqual(request_from(0, {"parts": ["a"], "ask": {"type": "generate_until"}}).ask, Generate())
        self.assertEqual(Generate().max_gen_toks, 256)

    def test_every_field_of_a_generation_is_read(self):
        ask = {
            "type": "generate_until", "until": ["\n"], "max_gen_toks": 5, "fail_on_long": True, "repetition_penalty": 1.5, "logprobs": True,
            "reasoning": {"start": "<t>", "end": "</t>", "opened": True, "max_toks": 3}, "min_tokens": 1, "ignore_eos": True, "stop_token_ids": [7],
            "logit_bias": [[3, -1.0]], "presence_penalty": 0.5, "frequency_penalty": 0.25, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 11,
            "min_p": 0.1,
        }
        expected = Generate(
            until=["\n"], max_gen_toks=5, fail_on_long=True, repetition_penalty=1.5, draw=Draw(0.5, 0.9, 4, 11, 0.1), logprobs=True,
            reasoning=Reasoning("<t>", "</t>", True, 3), min_tokens=1, ignore_eos=True, stop_token_ids=[7], logit_bias=[(3, -1.0)],
            presence_penalty=0.5, frequency_penalty=0.25,
        )
        self.assertEqual(request_from(0, {"parts": ["a"], "ask": ask}).ask, expected)

    def test_parts_are_texts_and_images(self):
        image = {"image": "ab", "path": "/x.png", "height": 56, "width": 28}
        request = request_from(2, {"parts": ["a ", image, " b", " c"], "ask": {"type": "loglikelihood", "fail_on_long": False}})
        self.assertEqual((request.continuation, request.images, request.index), (" c", [Image("ab", "/x.png", 56, 28)], 2))
        self.assertRaisesRegex(BadRequest, "/x.png: an image stands where a text is read", lambda: request.context)
        self.assertEqual(request.estimated_tokens(), 2 + 2)  # 6 bytes, and 2 patches of 28 x 28

    def test_an_unknown_type_is_named(self):
        self.assertRaisesRegex(ValueError, "request type 'dream' is not known", request_from, 0, {"parts": [], "ask": {"type": "dream"}})


class Units(unittest.TestCase):
    def test_none_and_one(self):
        self.assertEqual(cut([], engine(), 100), [])
        self.assertEqual(indices(cut([generate("a")], engine(), 100)), [[0]])

    def test_requests_and_tokens_end_a_unit(self):
        requests = [generate("x" * 40, i) for i in range(7)]  # 20 tokens each
        self.assertEqual(indices(cut(requests, engine(unit_requests=3), 1000)), [[0, 1, 2], [3, 4, 5], [6]])
        self.assertEqual(indices(cut(requests, engine(), 59)), [[0, 1], [2, 3], [4, 5], [6]])
        self.assertEqual(indices(cut(requests, engine(), 5)), [[i] for i in range(7)])  # at least one
        self.assertEqual(indices(cut(requests, engine(unit_tokens=60), 1000)), [[0, 1, 2], [3, 4, 5], [6]])
        self.assertEqual(indices(cut(requests, engine(unit_tokens=60), 40)), [[0, 1], [2, 3], [4, 5], [6]])  # after out of memory
        self.assertEqual(indices(cut(requests, engine(unit_requests=None), 5)), [list(range(7))])
        self.assertEqual(indices(cut(requests, engine(unit_requests=None, unit_tokens=60), 1000)), [[0, 1, 2], [3, 4, 5], [6]])
        self.assertEqual(indices(cut(requests, engine(), 0)), [list(range(7))])  # no limit was given

    def test_another_type_or_ask_begins_a_unit(self):
        score = request_from(1, {"parts": ["a", "b"], "ask": {"type": "loglikelihood"}})
        self.assertEqual(indices(cut([generate("a", 0), score, generate("a", 2)], engine(), 1000)), [[0], [1], [2]])
        longer = [generate("a", 0), generate("a", 1, max_gen_toks=11), generate("b", 2, max_gen_toks=11)]
        self.assertEqual(indices(cut(longer, engine(), 1000)), [[0], [1, 2]])
        self.assertEqual(indices(cut(longer, engine(same_ask=False), 1000)), [[0, 1, 2]])

    def test_seeds_and_ids_do_not(self):
        drawn = [generate("a", i, temperature=1.0, seed=i) for i in range(3)]
        pairs = [request_from(i, {"parts": ["q", "p"], "ask": {"type": "score_pair", "query": "1", "passage": str(i)}}) for i in range(3)]
        passages = [request_from(i, {"parts": ["p"], "ask": {"type": "embed", "passage": str(i)}}) for i in range(1, 3)]
        query = request_from(3, {"parts": ["q"], "ask": {"type": "embed"}})
        self.assertEqual(indices(cut(drawn, engine(), 1000)), [[0, 1, 2]])
        self.assertEqual(indices(cut(pairs, engine(), 1000)), [[0, 1, 2]])
        self.assertEqual(indices(cut([*passages, query], engine(), 1000)), [[1, 2], [3]])


class Answers(unittest.TestCase):
    def test_bodies_are_those_of_the_wire(self):
        made = Engine.text("héllo", 2, truncated=1, token_ids=[1, 2], logprobs=[-1, -2], trace=Trace("own", 1, 4)).body
        trace = {"end": "own", "tokens": 1, "answer_at": 4}
        self.assertEqual(made, {"text": "héllo", "tokens": 2, "truncated": 1, "token_ids": [1, 2], "logprobs": [-1.0, -2.0], "trace": trace})
        self.assertEqual(Engine.vector([1, -0.5], 3).body["vector"], struct.pack("<2f", 1, -0.5))
        self.assertEqual(Engine.compressed("a", 1, 2).body, {"text": "a", "kept": 1, "before": 2})

    def test_what_an_author_gets_wrong_is_named(self):
        self.assertRaisesRegex(BadAnswer, "go together", Engine.text, "a", 1, token_ids=[1])
        self.assertRaisesRegex(BadAnswer, "a text is a str, not bytes", Engine.text, b"a", 1)
        self.assertRaisesRegex(BadAnswer, "a trace ends", Engine.text, "a", 1, trace=Trace("soon"))


def safetensors(path, header, size):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 10}
        (self.path / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64, "torch_dtype": "float32"}))
        (self.path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}, "bos_token": "<s>"}))
        safetensors(self.path / "model.safetensors", {"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {}}, 5000)

    def tearDown(self):
        self.folder.cleanup()

    def check(self, module=None, program=ODD, folder=None, **more):
        given = ["--module", json.dumps({"name": "m", **module})] if module is not None else []
        return run(program, "check", str(self.path) if folder is None else folder, *given, **more)

    def test_facts_of_a_folder(self):
        facts = json.loads(self.check({"options": {"a": 1}, "max_length": 32}).stdout)
        expected = {
            "architecture": "LlamaForCausalLM", "checkpoint_dtype": "bfloat16", "parameters": 6, "weight_bytes": 12,
            "layers": 1, "hidden": 8, "heads": 2,
            "kv_heads": 2, "head_dim": 4, "vocabulary": 10, "max_length": 32, "eos_text": "</s>", "bos_text": "<s>", "shares_beginnings": False,
            "kinds": ["generator", "embedding", "cross_encoder", "longllmlingua"], "notes": ["options: ['a']"],
            "model_hash": model_hash(str(self.path)), "folder_hash": folder_hash(str(self.path)),
        }
        self.assertEqual({name: value for name, value in facts.items() if name != "engine"}, expected)
        self.assertEqual(facts["engine"], json.loads(run(ODD, "probe").stdout))

    def test_an_engine_needs_no_folder(self):
        facts = json.loads(self.check({}, folder="").stdout)
        self.assertEqual(set(facts), {"kinds", "shares_beginnings", "notes", "engine"})
        self.assertEqual(self.check({}, folder="").stdout.count("\n"), 1)  # the last line is what is read

    def test_what_is_refused_says_why_and_whose_fault_it_is(self):
        self.refused(2, "kind reranker is not one of this engine's", {"kind": "reranker"})
        self.refused(2, "option refuse is set", {"options": {"refuse": True}})
        self.refused(5, "there is no such folder", {}, folder="/nowhere")
        (self.path / "config.json").write_text("{")
        self.refused(5, "config.json: is not JSON", {})
        self.assertEqual(run(ODD, "dance").returncode, 2)
        self.assertEqual(run(ODD, "check", "", "--module", "{").returncode, 2)

    def test_a_tensor_file_that_is_cut_short_is_refused(self):
        safetensors(self.path / "model.safetensors", {"w": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}, 399)
        self.refused(5, "is cut short", {})
        (self.path / "model.safetensors").write_bytes(b"\xff" * 20)
        self.refused(5, "is not a safetensors file", {})

    def test_a_package_that_is_missing_is_the_environments_fault(self):
        program = self.path / "needy.py"
        program.write_text("from proctor.guest import Engine, serve\nclass Needy(Engine): packages = ['no-such-package']\nserve(Needy)\n")
        self.refused(4, "package no-such-package is missing", {}, program=[sys.executable, str(program)])

    def refused(self, status, message, module, **more):
        found = self.check(module, **more)
        self.assertEqual(found.returncode, status, found.stderr)
        self.assertIn(message, found.stderr)
        self.assertEqual(found.stdout, "")

    def test_many_modules_are_a_line_each(self):
        modules = [json.dumps({"name": name, "path": path}) for name, path in (("a", ""), ("b", "/nowhere"))]
        good, bad = map(json.loads, run(ODD, "check", "--each", *modules).stdout.splitlines())
        self.assertIn("engine", good["facts"])
        self.assertEqual(bad, {"status": 5, "error": "/nowhere: there is no such folder"})

    def test_hashes_tell_versions_apart(self):
        file = self.path / "model.safetensors"
        before = model_hash(str(self.path)), folder_hash(str(self.path))
        (self.path / "README.md").write_text("no number depends on it")
        (self.path / ".cache").mkdir()
        (self.path / ".cache" / "x.json").write_text("nor on this")
        self.assertEqual((model_hash(str(self.path)), folder_hash(str(self.path))), before)
        data = bytearray(file.read_bytes())
        data[-1] ^= 1  # behind the beginning that every node compares
        file.write_bytes(data)
        self.assertNotEqual(model_hash(str(self.path)), before[0])
        self.assertEqual(folder_hash(str(self.path)), before[1])
        (self.path / "config.json").write_text("{}")
        self.assertNotEqual(folder_hash(str(self.path)), before[1])

    def test_code_and_environment_are_part_of_the_identity(self):
        copy = self.path / "engine.py"
        copy.write_text((HERE / "toy_engine.py").read_text())
        program = [sys.executable, "-B", str(copy)]
        before = json.loads(run(program, "probe").stdout)
        self.assertEqual(before["environment"], {})
        self.assertEqual(json.loads(run(program, "probe", PROCTOR_TOY_SALT="1", PROCTOR_OTHER="2").stdout)["environment"], {"PROCTOR_TOY_SALT": "1"})
        copy.write_text(copy.read_text() + "# another\n")
        self.assertNotEqual(json.loads(run(program, "probe").stdout)["code_hash"], before["code_hash"])

    def test_neither_torch_nor_msgpack_is_imported(self):
        found = run([sys.executable, "-c", "import sys; sys.argv[0] = 'x'; import proctor.guest; print({'torch', 'msgpack'} & set(sys.modules))"])
        self.assertEqual(found.stdout.strip(), "set()", found.stderr)


if __name__ == "__main__":
    unittest.main()
