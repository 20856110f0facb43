#!/usr/bin/env python3
"""The engine `transformers` by itself and beside lm-eval's own class, on tiny models and texts from a seed (PROCTOR_SEED).

What it imports lazily (torch, transformers; lm_eval, accelerate) may be missing: then tests say so and are skipped.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from test_engine_support import PYTHON, Texts, body_of, differences, generations, in_process, loglikelihoods, missing, models, rolling

sys.path.insert(0, str(PYTHON))

from proctor.engines.transformers import Transformers  # noqa: E402
from proctor.guest import Module, Refused  # noqa: E402
from proctor.guest.check import check  # noqa: E402

SEED = os.environ.get("PROCTOR_SEED", "7")
HARNESS = missing("msgpack", "torch", "transformers", "lm_eval", "accelerate")


def asked(text, **ask):
    return {"parts": text.split("|"), "ask": {"type": "generate_until", "until": [], "max_gen_toks": 6, **ask}}


def scored(text, **ask):
    return {"parts": text.split("|"), "ask": {"type": "loglikelihood", **ask}}


@unittest.skipIf(HARNESS, HARNESS)
class BesideLmEval(unittest.TestCase):
    """HFLM at batch_size 1, float32. A window of many tokens differs by lm-eval's own sum in float32."""

    def check(self, name, short=False):
        texts = Texts(f"{SEED} {name}")
        requests = loglikelihoods(texts, 10) + self.likeliest(name, texts) + rolling(texts, 5) + generations(texts, 9, most=4 if short else 12)
        found = in_process(Transformers, requests, path=str(models() / name), dtype="float32")
        different = differences(self.lm_eval(name, requests), [self.like_lm_eval(one) for one in found])
        print(f"{name}, seed {SEED}: {different}")
        self.assertEqual([different.greedy, different.text, different.wrong], [[], [], []])
        longest = max([1, *(body_of(one).get("tokens", 1) for one, asked_for in zip(found, requests, strict=True) if "rolling" in asked_for["ask"]["type"])])
        self.assertLess(different.number, max(1e-4, 2e-6 * longest))

    def lm_eval(self, name, requests):
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        model = HFLM(pretrained=str(models() / name), device="cpu", dtype="float32", batch_size=1)
        answers = [None] * len(requests)
        for kind in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
            places = [i for i, one in enumerate(requests) if one["ask"]["type"] == kind]
            settings = [{key: value for key, value in requests[i]["ask"].items() if key in ("until", "max_gen_toks")} for i in places]
            more = [({**one, "do_sample": False},) if kind == "generate_until" else () for one in settings]
            instances = [Instance(kind, {}, (*requests[i]["parts"], *extra), i) for i, extra in zip(places, more, strict=True)]
            for i, answer in zip(places, getattr(model, kind)(instances, disable_tqdm=True), strict=True):
                answers[i] = self.as_answer(kind, answer)
        return answers

    def as_answer(self, kind, answer):
        if kind == "loglikelihood":
            return {"loglikelihood": answer[0], "is_greedy": answer[1]}
        return {"text": answer} if kind == "generate_until" else {"loglikelihood": answer}

    def like_lm_eval(self, response):
        return {key: value for key, value in body_of(response).items() if key in ("loglikelihood", "is_greedy", "text", "error")}

    def likeliest(self, name, texts):
        """A context and each of its likeliest tokens that is a text of its own: one of them is greedy."""
        if name in ("t5", "mt5") or name.startswith("seq2seq"):
            return []
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(models() / name)
        model = AutoModelForCausalLM.from_pretrained(models() / name)
        made = []
        for context in (texts.text(1, 3) for _ in range(8)):
            context = context.strip() or "a"
            ids = tokenizer.encode(context)
            with torch.no_grad():
                best = model(input_ids=torch.tensor([ids])).logits[0, -1].topk(12).indices.tolist()
            words = ((token, tokenizer.decode([token])) for token in best)
            made += [scored(f"{context}|{word}") for token, word in words if tokenizer.encode(context + word) == [*ids, token]]
        return [one for one in made if "|" not in "".join(one["parts"])]

    def test_llama(self):
        self.check("llama")

    def test_gpt2(self):
        self.check("family-gpt2-0")

    def test_qwen2(self):
        self.check("family-qwen2-1")

    def test_t5(self):
        self.check("t5")

    def test_bart_with_beams(self):
        self.check("seq2seq-bart_beams-1", short=True)


@unittest.skipIf(missing(), missing())
class Answers(unittest.TestCase):
    """A model of 64 tokens, a byte each."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = folder.name + "/llama"
        shutil.copytree(models() / "llama", cls.path)
        config = Path(cls.path, "config.json")
        config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "llama"}))  # transformers 5 wants it

    def answers(self, *requests, **module):
        return [body_of(one) for one in in_process(Transformers, requests, **{"path": self.path, **module})]

    def test_a_long_context_loses_its_left_end_or_fails(self):
        cut, failed, none = self.answers(scored(f"{'a' * 70}|bc"), scored(f"{'a' * 70}|bc", fail_on_long=True), scored(f"a|{'b' * 70}"))
        self.assertEqual((cut["tokens"], cut["truncated"]), (2, 7))
        self.assertEqual(failed["error"], "context and continuation of 72 tokens is longer than 65 (on_long: fail)")
        self.assertEqual(none["error"], "continuation of 70 tokens is longer than max_length 64")
        cut, failed = self.answers(asked("a" * 70), asked("a" * 70, fail_on_long=True))
        self.assertEqual(cut["truncated"], 12)
        self.assertEqual(failed["error"], "context of 70 tokens is longer than 58 (on_long: fail)")
        self.assertIn("leaves no room", self.answers(asked("a", max_gen_toks=64))[0]["error"])

    def test_what_has_no_token_fails_alone(self):
        self.assertEqual(["error" in one for one in self.answers(scored("a|"), scored(" |"), scored("|b"))], [True, True, False])
        image = {"image": "0" * 16, "path": "x.png", "height": 4, "width": 4}
        seen = self.answers({"parts": [image, "a"], "ask": {"type": "generate_until"}}, asked("a"))
        self.assertIn("an image", seen[0]["error"])
        self.assertIn("text", seen[1])

    def test_a_text_ends_at_a_stop_an_end_or_the_budget(self):
        whole, = self.answers(asked("Once", max_gen_toks=10, logprobs=True))
        third = whole["token_ids"][2]
        stopped, forbidden, least = self.answers(
            asked("Once", max_gen_toks=10, logprobs=True, stop_token_ids=[third]), asked("Once", logit_bias=[[third, -1e4]], logprobs=True),
            asked("Once", logprobs=True, stop_token_ids=[third], min_tokens=5),
        )
        self.assertEqual((whole["tokens"], stopped["token_ids"]), (10, whole["token_ids"][:3]))
        self.assertNotIn(third, forbidden["token_ids"] + least["token_ids"][:5])
        self.assertEqual(stopped["logprobs"], whole["logprobs"][:3])
        self.assertIn("outside the model's vocabulary", self.answers(asked("a", logit_bias=[[9999, 1.0]]))[0]["error"])

    def test_equal_greedy_texts_are_equal_and_drawn_ones_follow_their_seeds(self):
        drawn = self.answers(*(asked("Once", temperature=1.0, seed=seed, max_gen_toks=12, logprobs=True) for seed in (1, 2, 1)))
        self.assertEqual(drawn[0], drawn[2])
        self.assertNotEqual(drawn[0]["token_ids"], drawn[1]["token_ids"])

    def test_answers_are_a_function_of_the_shard(self):
        texts = Texts(f"{SEED} pure")
        requests = loglikelihoods(texts, 6) + rolling(texts, 3) + generations(texts, 6, logprobs=True)
        first, again = (in_process(Transformers, requests, path=self.path) for _ in range(2))
        self.assertEqual(first, again)
        halved = differences(first, in_process(Transformers, requests, max_batch_tokens=64, path=self.path))
        self.assertLess(max(halved.number, halved.logprob), 1e-4)
        self.assertEqual([halved.text, halved.greedy, halved.counts, halved.wrong], [[], [], [], []])

    def test_numbers_that_are_not_finite_are_errors(self):
        with tempfile.TemporaryDirectory() as folder:
            broken = self.broken_model(Path(folder) / "llama-nan", lambda tensors: tensors["model.norm.weight"].fill_(float("nan")))
            seen = self.answers(scored("a|b"), asked("a"), asked("a", temperature=1.0), path=broken)
        self.assertEqual(["not finite" in one["error"] or "nan" in one["error"] for one in seen], [True, True, True])

    def broken_model(self, folder, change):
        from safetensors.torch import load_file, save_file

        shutil.copytree(self.path, folder)
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return str(folder)

    def test_a_head_that_is_not_there_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            broken = self.broken_model(Path(folder) / "llama-headless", lambda tensors: tensors.pop("lm_head.weight"))
            with self.assertRaisesRegex(Refused, "lm_head.weight"):
                self.answers(scored("a|b"), path=broken)

    def test_a_kind_answers_its_own_requests(self):
        self.assertIn("does not answer embed", self.answers({"parts": ["a"], "ask": {"type": "embed"}})[0]["error"])

    def test_a_closed_model_is_gone(self):
        claimed, steps = {}, {}
        in_process(Transformers, [scored("a|b"), asked("a")], path=self.path, claimed=claimed, steps=steps)
        self.assertEqual(claimed["tensor_bytes_after"], claimed["tensor_bytes_before"])
        self.assertIn("drop the model", steps)


class Checks(unittest.TestCase):
    path = str(models() / "llama")

    def test_it_imports_nothing_heavy(self):
        for name in ("transformers", "sentence_transformers"):
            program = f"import sys, proctor.engines.{name}; print([m for m in ('torch', 'transformers', 'numpy', 'msgpack') if m in sys.modules])"
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(PYTHON)})
            self.assertEqual((done.stdout.strip(), done.stderr), ("[]", ""))

    def test_its_sources_are_all_that_it_imports(self):
        here = PYTHON / "proctor/engines"
        seen, todo = set(), ["transformers"]
        while todo:
            text = (here / f"{todo.pop()}.py").read_text()
            names = {line.split("engines.")[1].split()[0] for line in text.splitlines() if line.strip().startswith("from proctor.engines._")}
            todo += names - seen
            seen |= names
        self.assertEqual(sorted(f"{name}.py" for name in seen - {"_memory"}), sorted(Transformers.sources))

    def refused(self, why, **module):
        with self.assertRaisesRegex(Refused, why):
            check(Transformers, Module("m", **{"path": self.path, **module}))

    @unittest.skipIf(missing(), missing())
    def test_what_cannot_be_is_refused_before_anything_starts(self):
        self.refused("option colour is not known", options={"colour": 1})
        self.refused("tensor_parallel", tensor_parallel=2)
        self.refused("is no cross_encoder", kind="cross_encoder")
        self.refused("option truncation is a cross_encoder's", options={"truncation": "longest_first"})
        self.refused("over_passages", path=str(models() / "bert_pairs"), kind="cross_encoder", options={"activation": "over_passages"})
        self.refused("adapter_config.json|peft", options={"adapter": "/nowhere"})

    @unittest.skipIf(missing(), missing())
    def test_facts(self):
        facts = check(Transformers, Module("m", path=self.path))
        self.assertEqual((facts["max_length"], facts["kinds"], facts["shares_beginnings"]), (64, ["generator", "embedding"], False))
        self.assertEqual(facts["engine"]["name"], "transformers")
        self.assertEqual(check(Transformers, Module("m", kind="embedding", path=str(models() / "bert")))["max_length"], 24)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "config.json").write_text(json.dumps({"architectures": ["XForCausalLM"]}))
            self.assertEqual(check(Transformers, Module("m", path=folder))["max_length"], 2048)


if __name__ == "__main__":
    unittest.main()
