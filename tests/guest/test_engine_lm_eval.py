#!/usr/bin/env python3
"""proctor.engines.lm_eval against lm-eval's own calls, to the bit."""

import importlib.util
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(Path(__file__).parent)]
from proctor.engines import lm_eval as engine_file  # noqa: E402
from proctor.guest import BadRequest, Refused  # noqa: E402
from proctor.guest.module import Module  # noqa: E402
from proctor.guest.requests import request_from  # noqa: E402

LLAMA = Path(os.environ.get("PROCTOR_TINY_MODELS", ROOT / "build/tiny-models")) / "llama"
HAS_LM_EVAL = all(importlib.util.find_spec(name) for name in ("lm_eval", "torch", "transformers", "accelerate"))
DEADLINE_S = 120.0
PAIRS = [("The sky is", " blue"), ("The sky is ", "green"), ("", "abc"), ("a b c", " d e f g"), ("x" * 90, "yz"), ("The sky is", " blue")]
TEXTS = ["Some words that are longer than one window of the tiny model, which holds sixty-four tokens.", "short"]


def request(index, type, *parts, **ask):
    return request_from(index, {"parts": list(parts), "ask": {"type": type, **ask}})


def generation(index, text, **ask):
    return request(index, "generate_until", text, **{"until": [], "max_gen_toks": 12, **ask})


class Options(unittest.TestCase):
    def check(self, tensor_parallel=1, **options):
        facts = {"notes": [], "engine": {"versions": {}}}
        engine_file.LmEval.check(Module("m", path="x", tensor_parallel=tensor_parallel, options=options), facts)
        return facts

    def test_options_are_checked_by_name(self):
        for options, pattern in (
            ({}, "model: expected the name"), ({"model": "hf", "modelargs": ""}, "modelargs is not known"),
            ({"model": "hf", "model_args": 3}, "model_args: expected"),
        ):
            with self.assertRaisesRegex(Refused, pattern):
                self.check(**options)
        with self.assertRaisesRegex(Refused, "not known how gguf is told"):
            self.check(tensor_parallel=2, model="gguf")
        self.check(tensor_parallel=2, model="hf")

    def test_arguments_of_the_module_and_of_the_options(self):
        class Kind:
            def __init__(self, pretrained, dtype="auto", max_length=None, batch_size=1):
                pass

        def made(options, **module):
            described = Module("m", path="P", options={"model": "k", **options})
            return engine_file.arguments(described, Kind, lambda text: dict(one.split("=") for one in text.split(",")), module, {})

        self.assertEqual(made({}), {"pretrained": "P"})
        self.assertEqual(made({"model_args": "pretrained=Q,x=1"}, dtype="float32"), {"pretrained": "Q", "x": "1", "dtype": "float32"})
        self.assertEqual(made({"model_args": {"dtype": "float16"}}, dtype="float32"), {"pretrained": "P", "dtype": "float16"})

        class Narrow(Kind):
            def __init__(self, pretrained):
                pass

        with self.assertRaisesRegex(Refused, "dtype: k has no such argument"):
            engine_file.arguments(Module("m", path="P", options={"model": "k"}), Narrow, dict, {"dtype": "float32"}, {})


@unittest.skipUnless(HAS_LM_EVAL, "lm_eval, torch, transformers or accelerate is missing")
@unittest.skipUnless(LLAMA.is_dir(), f"{LLAMA} is missing; the build makes it")
class AgainstLmEval(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = engine_file.LmEval()
        cls.announced = []
        cls.engine.load(Module("m", path=str(LLAMA), dtype="float32", options={"model": "hf"}), cls.announced.append)
        from lm_eval.models.huggingface import HFLM

        cls.direct = HFLM(pretrained=str(LLAMA), dtype="float32", device="cpu", batch_size=1)

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()
        assert cls.engine.lm is None

    def run_unit(self, *requests):
        counted = []
        unit = SimpleNamespace(type=requests[0].type, announce=self.announced.append, count=lambda *_, **__: counted.append(1), image={})
        return self.engine.run(list(requests), unit)

    def asked(self, type, arguments):
        from lm_eval.api.instance import Instance

        return getattr(self.direct, type)([Instance(request_type=type, doc={}, arguments=one, idx=i) for i, one in enumerate(arguments)])

    def test_loglikelihoods_are_the_same_bits(self):
        answers = self.run_unit(*(request(i, "loglikelihood", *pair) for i, pair in enumerate(PAIRS)))
        self.assertEqual([(one.body["loglikelihood"], one.body["is_greedy"]) for one in answers], self.asked("loglikelihood", PAIRS))
        self.assertEqual([one.body["tokens"] for one in answers[:3]], [len(self.direct._encode_pair(*pair)[1]) for pair in PAIRS[:2]] + [3])
        self.assertEqual([one.body["truncated"] > 0 for one in answers], [False] * 4 + [True, False])

    def test_what_is_too_long_or_empty_fails_alone(self):
        long = request(0, "loglikelihood", "x" * 90, "y", fail_on_long=True)
        answers = self.run_unit(long, request(1, "loglikelihood", "a", ""), request(2, "loglikelihood", "a", "b"))
        self.assertRegex(str(answers[0]), "do not fit into the model's 64")
        self.assertRegex(str(answers[1]), "no token of its own")
        self.assertEqual(answers[2].body["tokens"], 1)

    def test_rolling_loglikelihoods_are_the_same_bits(self):
        answers = self.run_unit(*(request(i, "loglikelihood_rolling", text) for i, text in enumerate(TEXTS)))
        self.assertEqual([one.body["loglikelihood"] for one in answers], self.asked("loglikelihood_rolling", [(text,) for text in TEXTS]))
        self.assertEqual([one.body["tokens"] for one in answers], [len(self.direct.tok_encode(text)) for text in TEXTS])

    def test_what_lm_eval_fails_over_fails_alone(self):
        answers = self.run_unit(generation(0, "a", max_gen_toks=500), generation(1, "a"))  # more than the model's 64
        self.assertIsInstance(answers[0], BadRequest)
        self.assertEqual(answers[1].type, "generate_until")

    def test_greedy_texts_are_the_same(self):
        kwargs = {"until": ["e"], "max_gen_toks": 12, "do_sample": False, "temperature": 0.0}
        texts = ("The sky is", "a b", "x" * 90)
        answers = self.run_unit(*(generation(i, text, until=["e"]) for i, text in enumerate(texts)))
        self.assertEqual([one.body["text"] for one in answers], self.asked("generate_until", [(text, dict(kwargs)) for text in texts]))

    def test_a_drawn_text_depends_on_its_seed_alone(self):
        drawn = {"temperature": 1.0, "top_k": 50, "seed": 7}
        first = self.run_unit(generation(0, "The sky is", **drawn), generation(1, "a"), generation(2, "The sky is", **{**drawn, "seed": 8}))
        again = self.run_unit(generation(0, "b"), generation(1, "The sky is", **drawn))
        self.assertEqual(first[0].body["text"], again[1].body["text"])
        self.assertNotEqual(first[0].body["text"], first[2].body["text"])

    def test_what_the_classes_do_not_know_fails_by_name(self):
        answers = self.run_unit(generation(0, "a", logprobs=True), generation(1, "a", presence_penalty=0.5), generation(2, "a"))
        self.assertEqual([isinstance(one, BadRequest) for one in answers], [True, True, False])
        self.assertRegex(str(answers[0]), "logprobs: ")

    def test_a_request_done_is_a_sign_of_life(self):
        self.engine.beats._spoke = 0.0
        before = len(self.announced)
        self.run_unit(request(0, "loglikelihood", "a", "b"))
        self.assertIn("progress", self.announced[before:])


@unittest.skipUnless(HAS_LM_EVAL and importlib.util.find_spec("msgpack"), "lm_eval, torch, transformers, accelerate or msgpack is missing")
@unittest.skipUnless(LLAMA.is_dir(), f"{LLAMA} is missing; the build makes it")
class Served(unittest.TestCase):
    PROGRAM = [sys.executable, "-B", "-m", "proctor.engines.lm_eval"]

    def test_check_tells_the_versions(self):
        module = json.dumps({"name": "m", "options": {"model": "hf"}})
        made = subprocess.run([*self.PROGRAM, "check", str(LLAMA), "--module", module], env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
                              capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(set(json.loads(made.stdout)["engine"]["versions"]), {"lm_eval", "torch", "transformers"})

    def test_two_visits(self):
        import agent as client

        client.DEADLINE_S = DEADLINE_S
        with client.Agent(self.PROGRAM) as agent:
            agent.ready()
            answers = []
            for _ in range(2):
                agent.opened(path=str(LLAMA), dtype="float32", options={"model": "hf"})
                answers.append(agent.answered([client.request("The sky is| blue", "loglikelihood"), client.request("a")]))
                self.assertIn("drop", agent.close()["steps"])
            self.assertEqual(answers[0], answers[1])
            self.assertEqual(agent.leave(), 0)


if __name__ == "__main__":
    unittest.main()
