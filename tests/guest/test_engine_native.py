#!/usr/bin/env python3
"""The engines beside proctor's own worker: the same shards to both, by the protocol, from texts of a seed (PROCTOR_SEED).

PROCTOR_WORKER names another worker than the build's, PROCTOR_TINY_MODELS other models than build/tiny-models.
"""

import os
import unittest

from test_engine_support import (
    Program,
    Texts,
    body_of,
    differences,
    embeds,
    engine,
    generations,
    loglikelihoods,
    missing,
    models,
    native_worker,
    pairs,
    rolling,
)

SEED = os.environ.get("PROCTOR_SEED", "11")
LACKING = missing() or ("" if native_worker() else "there is no proctor-worker (PROCTOR_WORKER)")
SENTENCES = missing("msgpack", "torch", "transformers", "sentence_transformers")
LARGEST = 1e-4


class BesideNative(unittest.TestCase):
    """One process of each for all tests."""

    ENGINE = "transformers"

    @classmethod
    def setUpClass(cls):
        cls.native, cls.guest = Program([native_worker()]), Program(engine(cls.ENGINE))
        cls.addClassCleanup(cls.native.__exit__)
        cls.addClassCleanup(cls.guest.__exit__)

    def check_equal(self, name, requests, **module):
        native = self.native.answers(requests, path=str(models() / name), **module)
        guest = self.guest.answers(requests, path=str(models() / name), **module)
        found = differences(native, guest)
        print(f"{name}, seed {SEED}: {found}")
        self.assertEqual([found.greedy, found.text, found.counts, found.wrong], [[], [], [], []], self.first_unequal(found, requests, native, guest))
        self.assertLess(max(found.number, found.logprob), LARGEST)
        return [body_of(one) for one in guest]

    def first_unequal(self, found, requests, native, guest):
        place = min(found.greedy + found.text + found.counts + found.wrong, default=0)
        return f"{requests[place]}\nnative {native[place]}\nguest  {guest[place]}"


@unittest.skipIf(LACKING, LACKING)
class Generators(BesideNative):
    def check_model(self, name):
        texts = Texts(f"{SEED} {name}")
        requests = loglikelihoods(texts, 8) + rolling(texts, 4) + generations(texts, 9, logprobs=True) + self.drawn(texts) + self.changed(texts)
        self.check_equal(name, requests, dtype="float32")

    def drawn(self, texts):
        """Of the same seeds the same tokens."""
        settings = ({}, {"top_k": 20}, {"top_p": 0.8}, {"min_p": 0.01}, {"top_k": 50, "top_p": 0.9, "min_p": 0.001})
        return [one for more in settings for one in generations(texts, 1, logprobs=True, temperature=0.8, seed=texts.random.getrandbits(63), **more)]

    def changed(self, texts):
        bias = [[texts.random.randint(3, 127), 2.5], [texts.random.randint(3, 127), -4.0]]
        reasoning = {"start": "<think>", "end": "ab", "opened": True}
        return [
            *generations(texts, 3, repetition_penalty=1.3), *generations(texts, 3, presence_penalty=0.7, frequency_penalty=0.4, logit_bias=bias),
            *generations(texts, 3, min_tokens=5, stop_token_ids=[97, 101, 110, 120]), *generations(texts, 2, ignore_eos=True),
            *generations(texts, 2, fail_on_long=True, repetition_penalty=1.0), *generations(texts, 3, reasoning={**reasoning, "max_toks": 3}),
            *generations(texts, 2, reasoning=reasoning), *generations(texts, 2, reasoning={**reasoning, "opened": False}),
        ]

    def test_llama(self):
        self.check_model("llama")

    def test_gpt2(self):
        self.check_model("family-gpt2-0")

    def test_qwen3(self):
        self.check_model("family-qwen3-0")

    def test_windows(self):
        self.check_model("mistral_window")

    def test_experts(self):
        self.check_model("family-mixtral-1")

    def test_t5(self):
        self.check_model("t5")

    def test_bart(self):
        self.check_model("seq2seq-bart_base-0")


@unittest.skipIf(LACKING, LACKING)
class Encoders(BesideNative):
    def texts(self, name):
        texts = Texts(f"{SEED} {name}")
        return embeds(texts, 10) + embeds(texts, 10, prompts=["query"]) + embeds(texts, 5, prompts=["document", "passage"], passage="p")

    def test_embeddings(self):
        for name in ("bert", "roberta", "encoder-mpnet-0", "encoder-modernbert-1", "encoder-embedding_gemma-0", "family-qwen3-1"):
            with self.subTest(name):
                self.check_equal(name, self.texts(name), kind="embedding")
                self.check_equal(name, self.texts(name), kind="embedding", max_length=12)

    def test_pairs(self):
        for name in ("bert_pairs", "roberta_pairs", "encoder-deberta_v2_labels-0"):
            requests = pairs(Texts(f"{SEED} {name}"), 20)
            with self.subTest(name):
                self.check_equal(name, requests, kind="cross_encoder")
                self.check_equal(name, requests, kind="cross_encoder", max_length=24, options={"truncation": "only_second", "activation": "identity"})

    def test_a_token_type_that_the_model_has_not_fails_its_request(self):
        answers = self.check_equal("encoder-xlm_roberta_labels-0", pairs(Texts(SEED), 3), kind="cross_encoder")
        self.assertEqual({one["error"] for one in answers}, {"token type 1 is not one of the model's 1"})


@unittest.skipIf(LACKING or SENTENCES, LACKING or SENTENCES)
class SentenceTransformers(Encoders):
    """What the package itself computes. Left out: folders that it cannot read, and plain decoders, which 5.1 pools by the mean."""

    ENGINE = "sentence_transformers"

    def test_embeddings(self):
        for name in ("bert", "encoder-bert-0"):
            with self.subTest(name):
                self.check_equal(name, self.texts(name), kind="embedding")
                self.check_equal(name, self.texts(name), kind="embedding", max_length=12)

    def test_pairs(self):
        for name in ("bert_pairs", "encoder-bert_labels-0"):
            requests = pairs(Texts(f"{SEED} {name}"), 20)
            with self.subTest(name):
                self.check_equal(name, requests, kind="cross_encoder")
                self.check_equal(name, requests, kind="cross_encoder", max_length=24, options={"activation": "identity"})

    def test_a_token_type_that_the_model_has_not_fails_its_request(self):
        self.skipTest("the package has no such check")


if __name__ == "__main__":
    unittest.main()
