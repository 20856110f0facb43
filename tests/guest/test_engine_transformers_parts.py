#!/usr/bin/env python3
"""Parts of the engines that need no model: batches, windows, draws, stop strings, reasoning, a sentence-transformers folder's files."""

import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

from test_engine_support import PYTHON, missing, models

sys.path.insert(0, str(PYTHON))

from proctor.engines._batches import batches  # noqa: E402
from proctor.engines._codec import Codec, max_length_of, rolling_windows  # noqa: E402
from proctor.engines._reasoning import ReasoningWatch  # noqa: E402
from proctor.engines._sentences import SentenceSettings, read_activation, read_sentence_settings  # noqa: E402
from proctor.guest import BadRequest, Refused  # noqa: E402
from proctor.guest.requests import Draw, Reasoning  # noqa: E402


class Batches(unittest.TestCase):
    def test_rows_of_equal_lengths_go_together(self):
        self.assertEqual(batches([3, 5, 3, 5, 4], 100), [[1, 3], [4], [0, 2]])
        self.assertEqual(batches([3, 5, 3, 5, 4], 100, slack=0.4), [[1, 3, 4, 0, 2]])
        self.assertEqual(batches([], 100), [])

    def test_a_batch_keeps_within_its_tokens(self):
        self.assertEqual(batches([5, 5, 5], 10), [[0, 1], [2]])
        self.assertEqual(batches([50], 10), [[0]])  # a row is never cut
        self.assertEqual(batches([2, 2, 2], 100, behind=[1, 30, 30], max_positions=64), [[1, 2], [0]])

    def test_every_row_is_in_one_batch(self):
        draw = random.Random(3)
        for _ in range(200):
            lengths, behind = ([draw.randint(1, 40) for _ in range(draw.randint(0, 30))] for _ in range(2))
            behind = (behind + [1] * 30)[: len(lengths)]
            limit, slack = draw.randint(1, 200), draw.choice([0.0, 0.125, 0.5])
            made = batches(lengths, limit, slack, behind)
            self.assertEqual(sorted(row for batch in made for row in batch), list(range(len(lengths))))
            for batch in (batch for batch in made if len(batch) > 1):
                longest = max(lengths[row] for row in batch)
                self.assertLessEqual(len(batch) * (longest + max(behind[row] for row in batch)), limit)
                self.assertGreaterEqual(min(lengths[row] for row in batch), (1 - slack) * longest)


class Windows(unittest.TestCase):
    def test_as_lm_eval_cuts_them(self):
        self.assertEqual(rolling_windows([0, 1, 2, 3, 4], 99, 4), [([99, 0, 1, 2], [0, 1, 2, 3]), ([0, 1, 2, 3], [4])])
        last = rolling_windows(list(range(10)), 99, 4)[-1]
        self.assertEqual(last, ([5, 6, 7, 8], [8, 9]))
        self.assertEqual(rolling_windows([], 99, 4), [])
        self.assertEqual(rolling_windows([7], 99, 4), [([99], [7])])

    def test_every_token_is_scored_once(self):
        for count in range(40):
            for width in (1, 2, 7):
                windows = rolling_windows(list(range(count)), 99, width)
                self.assertEqual([token for _, targets in windows for token in targets], list(range(count)))
                self.assertTrue(all(len(given) <= width and len(targets) <= len(given) for given, targets in windows))

    def test_max_length_is_the_configurations_then_the_tokenizers(self):
        class Has:
            def __init__(self, **given):
                self.__dict__.update(given)

        self.assertEqual(max_length_of(Has(max_position_embeddings=64), Has(model_max_length=32)), 64)
        self.assertEqual(max_length_of(Has(text_config=Has(n_positions=16), max_position_embeddings=64), Has()), 16)
        self.assertEqual(max_length_of(Has(), Has(model_max_length=32)), 32)
        self.assertEqual(max_length_of(Has(), Has(model_max_length=int(1e30))), 2048)
        self.assertEqual([max_length_of(Has(**own), Has(model_max_length=int(1e30))) for own in ({"max_seq_len": 64}, {"seq_length": 32})], [64, 32])


@unittest.skipIf(missing(), missing())
class Draws(unittest.TestCase):
    def test_philox_is_the_published_one(self):
        """Random123's known answers for philox4x32-10: counter 0 and key 0 give 6627e8d5 e169c58d."""
        from proctor.engines._sampling import uniform

        self.assertEqual(uniform(0, 0), ((0x6627E8D5 << 32 | 0xE169C58D) >> 11) * 2.0**-53)
        self.assertEqual(len({uniform(seed, step) for seed in range(20) for step in range(20)}), 400)

    def test_what_is_kept(self):
        import torch
        from proctor.engines._sampling import sample

        logits = torch.tensor([0.0, 2.0, 1.0, 2.0, -1.0])

        def seen(**draw):
            return {sample(logits, Draw(**draw), at / 500) for at in range(500)}

        self.assertEqual(seen(), {0, 1, 2, 3, 4})
        self.assertEqual(seen(top_k=1), {1, 3})  # equals of the k-th are kept
        self.assertEqual(seen(top_k=3), {1, 2, 3})
        self.assertEqual(seen(min_p=0.5), {1, 3})
        self.assertEqual(seen(top_p=0.7), {1, 3})
        self.assertEqual(seen(top_p=1e-9), {3})
        self.assertEqual(seen(temperature=1e-3), {1, 3})

    def test_shares_are_the_models(self):
        import torch
        from proctor.engines._sampling import sample, uniform

        shares = torch.tensor([0.5, 0.3, 0.2])
        found = [sample(shares.log(), Draw(), uniform(5, step)) for step in range(4000)]
        for token, share in enumerate(shares.tolist()):
            self.assertAlmostEqual(found.count(token) / 4000, share, delta=0.03)


class ReasoningTraces(unittest.TestCase):
    """Tokens are letters."""

    def watch(self, text, end="</t>", **asked):
        watch, generated = ReasoningWatch(Reasoning("<t>", "</t>", **asked), [ord(one) for one in end]), []
        for letter in text:
            forced = watch.forced(len(generated))
            generated.append(ord(letter) if forced is None else forced)
            watch.see(generated, lambda ids: "".join(map(chr, ids)))
        written = "".join(map(chr, generated))
        return watch, written, watch.trace(written, len(generated))

    def test_a_trace_that_ends_by_itself(self):
        watch, written, trace = self.watch("<t>why</t> \nso")
        self.assertEqual((trace.end, trace.tokens, written[trace.answer_at :]), ("own", 10, "so"))
        self.assertFalse(watch.is_reasoning())

    def test_one_that_never_ends_and_one_that_never_was(self):
        watch, written, trace = self.watch("<t>why")
        self.assertEqual((trace.end, trace.tokens, trace.answer_at, watch.is_reasoning()), ("none", 6, 6, True))
        watch, written, trace = self.watch("an answer")
        self.assertEqual((trace.end, trace.tokens, trace.answer_at, watch.is_reasoning()), ("own", 0, 0, False))

    def test_one_whose_tokens_are_spent(self):
        watch, written, trace = self.watch("abcdefghijkl", opened=True, max_toks=3)
        self.assertEqual((written, trace.end, trace.tokens, trace.answer_at), ("abc</t>hijkl", "budget", 7, 7))

    def test_answer_at_counts_bytes(self):
        _, written, trace = self.watch("é</t>ü", opened=True)
        self.assertEqual(written.encode()[trace.answer_at :].decode(), "ü")


@unittest.skipIf(missing(), missing())
class Texts(unittest.TestCase):
    def codec(self, name="llama", **more):
        from transformers import AutoTokenizer

        return Codec(AutoTokenizer.from_pretrained(models() / name), **more)

    def test_white_space_moves_to_the_continuation(self):
        codec = self.codec()
        self.assertEqual(codec.encode_pair("a \n", "b"), ([97], [32, 10, 98]))
        self.assertEqual(codec.encode_pair("", "b"), ([256], [98]))
        self.assertEqual(codec.encode_pair("", "<s>b"), ([256], [98]))
        for context, continuation in (("a", ""), (" ", "b"), ("", "")):
            self.assertRaises(BadRequest, codec.encode_pair, context, continuation)

    def test_special_tokens_are_left_out_where_the_text_begins_with_them(self):
        codec = self.codec("t5")
        self.assertEqual(codec.encode("a")[-1], 1)
        self.assertEqual(self.codec("t5", add_bos_token=False).encode("a"), codec.encode_bare("a"))
        self.assertEqual(codec.encode("</s>a"), codec.encode_bare("</s>a"))

    def test_stop_strings_are_cut_in_their_order(self):
        from proctor.engines._generation import cut_at_stops

        self.assertEqual(cut_at_stops("one two three", ["two", "ne"]), "o")
        self.assertEqual(cut_at_stops("one", []), "one")


class SentenceFolders(unittest.TestCase):
    def settings(self, architecture="BertModel", **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name.replace("__", "/") + ".json")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content))
            return read_sentence_settings(folder, architecture)

    def modules(self, *kinds):
        paths = ["" if kind == "Transformer" else f"{i}_{kind}" for i, kind in enumerate(kinds)]
        return [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in zip(paths, kinds, strict=True)]

    def test_plain_folders(self):
        self.assertEqual(self.settings(), SentenceSettings("mean"))
        self.assertEqual(self.settings("Qwen2ForCausalLM").pooling, "lasttoken")

    def test_pooling_as_older_and_newer_files_say_it(self):
        modules = self.modules("Transformer", "Pooling", "Normalize")
        for config, pooling in (({}, "mean"), ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"), ({"pooling_mode": "max"}, "max"),
                                ({"pooling_mode": ["weightedmean"]}, "weightedmean")):
            found = self.settings(modules=modules, **{"1_Pooling__config": config})
            self.assertEqual((found.pooling, found.normalize), (pooling, True))
        with self.assertRaisesRegex(Refused, "pooling by mean and cls"):
            self.settings(modules=modules, **{"1_Pooling__config": {"pooling_mode_cls_token": True}})
        with self.assertRaisesRegex(Refused, "module sentence_transformers.models.LSTM"):
            self.settings(modules=self.modules("Transformer", "LSTM"))

    def test_lengths_prompts_and_letters(self):
        found = self.settings(sentence_bert_config={"max_seq_length": 20, "do_lower_case": True}, config_sentence_transformers={
            "prompts": {"query": "ask ", "plain": ""}, "default_prompt_name": "plain"})
        self.assertEqual((found.max_tokens, found.lower_case), (20, True))
        self.assertEqual([found.prompt(names) for names in (["document", "query"], ["document"], [])], ["ask ", "", ""])

    def test_activations(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual([read_activation(folder, None, labels) for labels in (1, 2)], ["sigmoid", "softmax"])
            self.assertEqual(read_activation(folder, "identity", 1), "identity")
            Path(folder, "config.json").write_text(json.dumps({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}))
            self.assertEqual([read_activation(folder, None, labels) for labels in (1, 2)], ["identity", "softmax"])
            self.assertRaises(Refused, read_activation, folder, None, 3)
            self.assertRaises(Refused, read_activation, folder, "softmax", 1)


if __name__ == "__main__":
    unittest.main()
