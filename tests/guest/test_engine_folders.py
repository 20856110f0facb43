#!/usr/bin/env python3
"""What the engines read of folders of many kinds: adapters, code of a folder's own, and what sentence-transformers saves."""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from test_engine_support import PYTHON, Program, Texts, body_of, embeds, engine, in_process, missing, models, numbers

sys.path.insert(0, str(PYTHON))

from proctor.engines.sentence_transformers import SentenceTransformers  # noqa: E402
from proctor.engines.transformers import Transformers  # noqa: E402
from proctor.guest import Module, Refused  # noqa: E402
from proctor.guest.check import check  # noqa: E402

SEED = os.environ.get("PROCTOR_SEED", "5")
PEFT = missing("msgpack", "torch", "transformers", "peft")
SENTENCES = missing("msgpack", "torch", "transformers", "sentence_transformers")
SCORED = [{"parts": ["one two", continuation], "ask": {"type": "loglikelihood"}} for continuation in (" three", " four")]


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def values(self, engine_class, requests, **module):
        bodies = [body_of(one) for one in in_process(engine_class, requests, **module)]
        self.assertEqual([one["error"] for one in bodies if "error" in one], [])
        return [numbers(one.get("vector", one.get("loglikelihood"))) for one in bodies]

    def assert_near(self, one, other, most=1e-5):
        self.assertEqual([len(row) for row in one], [len(row) for row in other])
        self.assertLess(max(abs(a - b) for row, same in zip(one, other, strict=True) for a, b in zip(row, same, strict=True)), most)


@unittest.skipIf(PEFT, PEFT)
class Adapters(InFolder):
    def test_an_adapter_is_what_peft_makes_of_it(self):
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        path = str(models() / "llama")
        torch.manual_seed(3)
        adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(path), LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        adapted.save_pretrained(self.folder)
        module = {"path": path, "options": {"adapter": str(self.folder)}}
        found, plain = self.values(Transformers, SCORED, **module), self.values(Transformers, SCORED, path=path)
        self.assertGreater(abs(found[0][0] - plain[0][0]), 1e-3)
        ids = torch.tensor([[ord(letter) for letter in "one two three"]])
        with torch.no_grad():
            log_p = adapted.eval()(input_ids=ids).logits[0].log_softmax(1)
        self.assertAlmostEqual(found[0][0], sum(float(log_p[i - 1, ids[0, i]]) for i in range(7, 13)), places=4)
        texts = [{"parts": ["one two"], "ask": {"type": "generate_until", "max_gen_toks": 8}}]
        self.assertIn("text", body_of(in_process(Transformers, texts, **module)[0]))
        facts, without = (check(Transformers, Module("m", path=path, options=options)) for options in (module["options"], {}))
        self.assertNotEqual(facts["model_hash"], without["model_hash"])
        self.assertIn("peft", facts["engine"]["versions"])


@unittest.skipIf(missing(), missing())
class OwnCode(InFolder):
    def test_code_of_a_folder_runs_where_it_is_trusted(self):
        folder = self.folder / "own"
        shutil.copytree(models() / "llama", folder)
        config = json.loads((folder / "config.json").read_text())
        names = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "own_of_a_test", "architectures": ["OwnForCausalLM"], "auto_map": names}))
        (folder / "own.py").write_text(
            "from transformers import LlamaConfig, LlamaForCausalLM\n\n\nclass OwnConfig(LlamaConfig):\n    model_type = 'own_of_a_test'\n\n\n"
            "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
        )
        with self.assertRaisesRegex(Refused, "trust_remote_code|custom code"):
            in_process(Transformers, SCORED, path=str(folder))
        module = {"path": str(folder), "options": {"trust_remote_code": True}}
        with Program(engine("transformers"), HF_MODULES_CACHE=str(self.folder / "cache")) as program:
            found = [numbers(body_of(one)["loglikelihood"]) for one in program.answers(SCORED, **module)]
        self.assert_near(found, self.values(Transformers, SCORED, path=str(models() / "llama")))


@unittest.skipIf(SENTENCES, SENTENCES)
class SentenceFolders(InFolder):
    def requests(self):
        return embeds(Texts(SEED), 12)

    def save(self, name, *modules, **settings):
        import sentence_transformers

        made = sentence_transformers.SentenceTransformer(modules=list(modules), device="cpu", **settings)
        made.save(str(self.folder / name))
        texts = [one["parts"][0] for one in self.requests()]
        return str(self.folder / name), made.encode(texts, show_progress_bar=False).tolist()

    def test_every_pooling(self):
        from sentence_transformers import models as parts

        for mode in ("mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"):
            path, expected = self.save(mode, parts.Transformer(str(models() / "bert"), max_seq_length=20), parts.Pooling(32, pooling_mode=mode))
            for engine_class in (Transformers, SentenceTransformers):
                with self.subTest(f"{mode}, {engine_class.__name__}"):
                    self.assert_near(self.values(engine_class, self.requests(), path=path, kind="embedding"), expected)

    def test_products_behind_the_pooling(self):
        import torch
        from sentence_transformers import models as parts

        torch.manual_seed(1)
        dense = [parts.Dense(32, 24, activation_function=torch.nn.Tanh()), parts.Dense(24, 16, bias=False, activation_function=torch.nn.Identity())]
        path, expected = self.save("dense", parts.Transformer(str(models() / "bert")), parts.Pooling(32), *dense, parts.Normalize())
        self.assert_near(self.values(Transformers, self.requests(), path=path, kind="embedding"), expected)
        self.assert_near(self.values(SentenceTransformers, self.requests(), path=path, kind="embedding"), expected)

    def test_a_t5_encoder(self):
        from sentence_transformers import models as parts

        path, expected = self.save("t5", parts.Transformer(str(models() / "t5"), max_seq_length=32), parts.Pooling(32))
        self.assert_near(self.values(Transformers, self.requests(), path=path, kind="embedding"), expected)

    def test_vectors_that_a_cosine_does_not_compare_are_refused(self):
        from sentence_transformers import models as parts

        path, _ = self.save("dot", parts.Transformer(str(models() / "bert")), parts.Pooling(32), similarity_fn_name="dot")
        for engine_class in (Transformers, SentenceTransformers):
            with self.assertRaisesRegex(Refused, "similarity_fn_name dot"):
                in_process(engine_class, self.requests(), path=path, kind="embedding")

    def test_a_sparse_encoder_has_a_number_for_each_token(self):
        import sentence_transformers
        import torch
        from sentence_transformers.sparse_encoder import models as parts
        from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

        torch.manual_seed(2)
        tokenizer = AutoTokenizer.from_pretrained(models() / "bert")
        config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48)
        BertForMaskedLM(config).save_pretrained(self.folder / "masked")
        tokenizer.save_pretrained(self.folder / "masked")
        made = sentence_transformers.SparseEncoder(modules=[parts.MLMTransformer(str(self.folder / "masked")), parts.SpladePooling()], device="cpu")
        path = str(self.folder / "sparse")
        made.save(path)
        expected = made.encode([one["parts"][0] for one in self.requests()], convert_to_sparse_tensor=False, show_progress_bar=False).tolist()
        found = self.values(SentenceTransformers, self.requests(), path=path, kind="embedding")
        self.assertEqual({len(row) for row in found}, {len(tokenizer)})
        self.assert_near(found, expected)
        self.assertIn("sparse encoder", check(SentenceTransformers, Module("m", kind="embedding", path=path))["notes"][0])

    def test_a_closed_model_is_gone(self):
        claimed, steps = {}, {}
        self.values(SentenceTransformers, self.requests(), path=str(models() / "bert"), kind="embedding")
        in_process(SentenceTransformers, self.requests(), path=str(models() / "bert"), kind="embedding", claimed=claimed, steps=steps)
        self.assertEqual(claimed["tensor_bytes_after"], claimed["tensor_bytes_before"])


if __name__ == "__main__":
    unittest.main()
