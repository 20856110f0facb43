#!/usr/bin/env python3
"""proctor.engines.vllm: what it asks of vLLM, with one that only notes it; and, in a Python that has vllm, two random models in turn.

    VENV/bin/python tests/guest/test_engine_vllm.py
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(Path(__file__).parent)]
from proctor.engines import _vllm_engine as version  # noqa: E402
from proctor.engines import vllm as engine_file  # noqa: E402
from proctor.guest import BadFile, BadRequest, EngineBroken, OutOfMemory, Refused  # noqa: E402
from proctor.guest.module import Module  # noqa: E402
from proctor.guest.requests import request_from  # noqa: E402

TOKENIZER = ROOT / "build/tiny-models/llama"
HAS_VLLM = all(importlib.util.find_spec(name) for name in ("vllm", "msgpack"))
LOAD_S = 900.0  # a deadline: some 30 s on two idle cores
STEPS = [
    "shutdown", "wait_children", "shared_memory", "destroy_model_parallel", "destroy_distributed_environment", "drop", "gc", "synchronize", "empty_cache",
]
BOS, EOS, THINK, END = 1, 2, 3, 4
NAMES = {BOS: "<s>", EOS: "</s>", THINK: "<think>", END: "</think>"}


def request(index, type, *parts, **ask):
    return request_from(index, {"parts": list(parts), "ask": {"type": type, **ask}})


def generation(index, text, **ask):
    return request(index, "generate_until", text, **{"until": [], "max_gen_toks": 8, **ask})


class Letters:
    """A tokenizer: a token a character, four special ones."""

    bos_token_id, eos_token_id, bos_token, eos_token, all_special_ids = BOS, EOS, "<s>", "</s>", [BOS, EOS, THINK, END]

    def encode(self, text, add_special_tokens=True, **_):
        ids = []
        while text:
            special = next((token for token, name in NAMES.items() if text.startswith(name)), None)
            ids.append(ord(text[0]) if special is None else special)
            text = text[len(NAMES.get(special, "1")):]
        return [BOS, *ids] if add_special_tokens else ids

    def __call__(self, *texts, truncation=False, max_length=None):
        ids = self.encode("".join(texts))
        return SimpleNamespace(input_ids=ids[:max_length] if truncation else ids)

    def decode(self, ids, skip_special_tokens):
        return "".join("" if skip_special_tokens and one in NAMES else NAMES.get(one, chr(one)) for one in ids)

    def get_vocab(self):
        return {name: token for token, name in NAMES.items()}


class Params:
    """Of vLLM's SamplingParams, with ids of labels."""

    def __init__(self, logprob_token_ids=None, **given):
        self.given = {**given, **({"logprob_token_ids": logprob_token_ids} if logprob_token_ids else {})}


class OlderParams(Params):
    def __init__(self, **given):
        self.given = given


class FakeLlm:
    """Writes the next of `texts`, each a text and why it ended; "a" is the likeliest token everywhere, each other one has -ord/100."""

    def __init__(self, *texts):
        self.texts, self.calls, self.llm_engine = list(texts), [], SimpleNamespace(has_unfinished_requests=lambda: False)

    def generate(self, prompts, params, use_tqdm, lora_request):
        self.calls.append([(one["prompt_token_ids"], param.given) for one, param in zip(prompts, params, strict=True)])
        return [self.output(one["prompt_token_ids"], param.given) for one, param in zip(prompts, params, strict=True)]

    def output(self, prompt, given):
        entries = [None] + [{one: SimpleNamespace(logprob=-one / 100, rank=1 if one == ord("a") else 2)} for one in prompt[1:]]
        labels = {one: SimpleNamespace(logprob=-one / 100) for one in [ord("a"), *given.get("logprob_token_ids", [])]}
        if "stop" not in given:
            return SimpleNamespace(prompt_logprobs=entries, outputs=[SimpleNamespace(token_ids=[ord("a")], logprobs=[labels])])
        text, why, stop = self.texts.pop(0)
        ids = Letters().encode(text, add_special_tokens=False)
        logprobs = [{one: SimpleNamespace(logprob=-0.5)} for one in ids]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, logprobs=logprobs, finish_reason=why, stop_reason=stop)])


class FakeCase(unittest.TestCase):
    def engine(self, *texts, params=Params, max_length=64):
        engine = engine_file.Vllm()
        engine.llm, engine.params, engine.max_length, engine.penalty = FakeLlm(*texts), params, max_length, 1.0
        engine.tokenizer, engine.codec = Letters(), engine_file.Codec(Letters())
        self.counted = []
        return engine

    def run_unit(self, engine, *requests):
        unit = SimpleNamespace(type=requests[0].type, announce=lambda *_: None, count=lambda tokens=0, images=0: self.counted.append(tokens))
        return engine.run(list(requests), unit)


class Loglikelihoods(FakeCase):
    def test_one_call_answers_a_shard(self):
        engine = self.engine(params=OlderParams)
        answers = self.run_unit(engine, *(request(i, "loglikelihood", "xy ", text) for i, text in enumerate(("a", "aa", "ab"))))
        self.assertEqual(len(engine.llm.calls), 1)
        self.assertEqual([one.body["tokens"] for one in answers], [2, 3, 3])  # the space is the continuation's
        self.assertAlmostEqual(answers[1].body["loglikelihood"], -(ord(" ") + 2 * ord("a")) / 100)
        self.assertEqual([given for _, given in engine.llm.calls[0]], [{"temperature": 0, "max_tokens": 1, "detokenize": False, "prompt_logprobs": 0}] * 3)

    def test_is_greedy_where_every_token_has_rank_one(self):
        for params in (Params, OlderParams):
            asked = [request(i, "loglikelihood", "x", text) for i, text in enumerate(("a", "b", "aa", "ba", "ab"))]
            answers = self.run_unit(self.engine(params=params), *asked)
            self.assertEqual([one.body["is_greedy"] for one in answers], [True, False, True, False, False])

    def test_choices_of_one_token_share_a_prompt_where_vllm_takes_their_ids(self):
        engine = self.engine()
        pairs = [("x", "a"), ("y", "a"), ("x", "c"), ("x", "cc"), ("x", "b"), ("x", "a")]
        answers = self.run_unit(engine, *(request(i, "loglikelihood", *pair) for i, pair in enumerate(pairs)))
        older = self.run_unit(self.engine(params=OlderParams), *(request(i, "loglikelihood", *pair) for i, pair in enumerate(pairs)))
        self.assertEqual(answers, older)
        asked = [(Letters().decode(ids, True), given.get("logprob_token_ids")) for ids, given in engine.llm.calls[0]]
        self.assertEqual(asked, [("x", [97, 98, 99]), ("y", [97]), ("xcc", None)])

    def test_more_labels_than_vllm_takes_are_parted(self):
        engine = self.engine()
        texts = [chr(200 + i) for i in range(300)]
        answers = self.run_unit(engine, *(request(i, "loglikelihood", "x", text) for i, text in enumerate(texts)))
        self.assertEqual([len(given["logprob_token_ids"]) for _, given in engine.llm.calls[0]], [128, 128, 44])
        self.assertEqual([one.body["loglikelihood"] for one in answers], [-ord(text) / 100 for text in texts])

    def test_a_long_context_loses_its_left_end_or_its_request_fails(self):
        engine = self.engine(params=OlderParams, max_length=10)
        answers = self.run_unit(
            engine, request(0, "loglikelihood", "x" * 20, "ab"), request(1, "loglikelihood", "x" * 20, "ab", fail_on_long=True),
            request(2, "loglikelihood", "x", "a" * 20), request(3, "loglikelihood", "x", ""),
        )
        self.assertEqual((len(engine.llm.calls[0][0][0]), answers[0].body["truncated"]), (9, 14))
        for one, pattern in zip(answers[1:], ("23 tokens do not fit into the 9", "22 tokens do not fit", "no token of its own"), strict=True):
            self.assertRegex(str(one), pattern)

    def test_rolling_windows_score_every_token_once(self):
        engine = self.engine(params=OlderParams, max_length=7)
        answers = self.run_unit(engine, request(0, "loglikelihood_rolling", "abcdefghijk"), request(1, "loglikelihood_rolling", "</s>"))
        self.assertEqual(answers[0].body["tokens"], 12)  # with its BOS, as lm-eval encodes it
        self.assertAlmostEqual(answers[0].body["loglikelihood"], -(BOS + sum(map(ord, "abcdefghijk"))) / 100)
        self.assertTrue(all(len(ids) <= 6 for ids, _ in engine.llm.calls[0]))


class Texts(FakeCase):
    def test_what_is_asked_for_is_passed_on(self):
        engine = self.engine(("ab", "length", None))
        engine.penalty = 1.1
        draw = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 2**64 - 1, "min_p": 0.1}
        self.run_unit(engine, generation(
            0, "x", until=["b", ""], **draw, min_tokens=2, ignore_eos=True, stop_token_ids=[5], logit_bias=[[9, -1.5]], presence_penalty=0.5,
            frequency_penalty=0.25, logprobs=True,
        ))
        self.assertEqual(engine.llm.calls[0][0][1], {
            **draw, "seed": 2**63 - 1, "stop": ["b"], "max_tokens": 8, "min_tokens": 2, "ignore_eos": True, "stop_token_ids": [5], "logit_bias": {9: -1.5},
            "presence_penalty": 0.5, "frequency_penalty": 0.25, "repetition_penalty": 1.1, "logprobs": 0, "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        })

    def test_a_text_ends_before_its_stop_and_without_special_tokens(self):
        engine = self.engine(("one. tw", "stop", ". t"), ("two</s>", "stop", None), ("abc", "stop", ord("c")))
        stopped = generation(2, "z", stop_token_ids=[ord("c")], logprobs=True)
        answers = self.run_unit(engine, generation(0, "x", until=[". t", "w"]), generation(1, "y", repetition_penalty=1.5), stopped)
        self.assertEqual([(one.body["text"], one.body["tokens"]) for one in answers], [("one", 7), ("two", 4), ("ab", 3)])
        self.assertEqual(answers[2].body["logprobs"], [-0.5] * 3)
        self.assertEqual(engine.llm.calls[0][1][1]["repetition_penalty"], 1.5)
        self.assertEqual(self.counted, [6 + 14])

    def test_room_for_the_new_tokens_is_kept(self):
        engine = self.engine(("a", "length", None), max_length=16)
        answers = self.run_unit(engine, generation(0, "x" * 40), generation(1, "x" * 40, fail_on_long=True), generation(2, "x", max_gen_toks=16))
        self.assertEqual((len(engine.llm.calls[0][0][0]), answers[0].body["truncated"]), (8, 33))
        self.assertRegex(str(answers[1]), "41 tokens and 8 new ones do not fit into the model's 16")
        self.assertRegex(str(answers[2]), "2 tokens and 16 new ones do not fit")

    def test_an_image_fails_alone_by_name(self):
        image = request_from(0, {"parts": [{"image": "h", "path": "a.png", "height": 1, "width": 1}], "ask": {"type": "generate_until"}})
        with self.assertRaisesRegex(BadRequest, "a.png: an image stands where a text is read"):
            self.run_unit(self.engine(), image)


class Traces(FakeCase):
    def run_one(self, *texts, prompt="x", **ask):
        self.used = self.engine(*texts)
        reasoning = {"start": "<think>", "end": "</think>", "opened": False, **ask.pop("reasoning", {})}
        (answer,) = self.run_unit(self.used, generation(0, prompt, **{"max_gen_toks": 20, "until": ["."], **ask}, reasoning=reasoning))
        return answer

    def test_stops_end_the_answer_alone(self):
        answer = self.run_one(("<think>a.b</think>", "stop", "</think>"), ("yes.", "stop", "."))
        self.assertEqual((answer.body["text"], answer.body["trace"]), ("<think>a.b</think>yes", {"end": "own", "tokens": 5, "answer_at": 18}))
        first, second = (call[0][1] for call in self.used.llm.calls)
        self.assertEqual([(one["stop"], one.get("include_stop_str_in_output"), one["max_tokens"]) for one in (first, second)],
                         [(["</think>"], True, 20), (["."], None, 15)])

    def test_a_trace_is_ended_at_its_budget(self):
        answer = self.run_one(("<think>ab", "length", None), ("yes", "stop", None), reasoning={"max_toks": 3})
        self.assertEqual((answer.body["text"], answer.body["trace"]), ("<think>ab</think>yes", {"end": "budget", "tokens": 4, "answer_at": 17}))
        self.assertEqual(self.used.llm.calls[1][0][0][-1], END)

    def test_a_trace_that_never_ends_leaves_no_answer(self):
        answer = self.run_one(("<think>a.b", "length", None), max_gen_toks=4)
        self.assertEqual(answer.body["trace"], {"end": "none", "tokens": 4, "answer_at": 10})
        self.assertEqual(len(self.used.llm.calls), 1)

    def test_an_answer_without_a_trace_is_whole(self):
        answer = self.run_one(("yes. no", "stop", None))
        self.assertEqual((answer.body["text"], answer.body["trace"]), ("yes", {"end": "own", "tokens": 0, "answer_at": 0}))

    def test_what_vllm_cannot_do_over_two_calls_fails_by_name(self):
        for ask, pattern in (({"presence_penalty": 1.0}, "presence_penalty"), ({"logprobs": True, "reasoning": {"max_toks": 3}}, "no log-probabilities")):
            self.assertRegex(str(self.run_one(**ask)), pattern)


class Adapters(unittest.TestCase):
    def test_its_files_count_and_one_that_is_none_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            module, found = Module("m", options={"adapter": folder}), []
            self.assertRaisesRegex(BadFile, "has no adapter_config.json", engine_file.Vllm.check, module, {})
            for config in ({"r": 4}, {"r": 8}):
                Path(folder, "adapter_config.json").write_text(json.dumps(config))
                facts = {"model_hash": "base"}
                engine_file.Vllm.check(module, facts)
                found.append(facts["model_hash"])
            plain = {"model_hash": "base"}
            engine_file.Vllm.check(Module("m"), plain)
            self.assertEqual(len({*found, plain["model_hash"]}), 3)


class Errors(FakeCase):
    def raising(self, error, unfinished=False):
        engine = self.engine()
        engine.llm.generate = mock.Mock(side_effect=error)
        engine.llm.llm_engine.has_unfinished_requests = lambda: unfinished
        return engine

    def test_what_vllm_raises_has_a_meaning(self):
        class VLLMClientError(Exception):
            pass

        class EngineDeadError(Exception):
            pass

        for error, unfinished, expected in (
            (ValueError("bad"), False, BadRequest), (VLLMClientError("bad"), False, BadRequest), (ValueError("bad"), True, EngineBroken),
            (EngineDeadError("dead"), False, EngineBroken), (RuntimeError("CUDA out of memory."), False, OutOfMemory),
            (RuntimeError("odd"), False, RuntimeError),
        ):
            with self.assertRaisesRegex(expected, str(error)):
                self.run_unit(self.raising(error, unfinished), generation(0, "x"))

    def test_what_pydantic_says_is_said_without_its_address(self):
        class ValidationError(ValueError):
            def errors(self):
                return [{"msg": "heads must be divisible"}]

        with self.assertRaisesRegex(Refused, "^heads must be divisible$"), version.named_errors():
            raise ValidationError("1 validation error\nFor further information visit")

    def test_options_that_the_module_says(self):
        for options, more, pattern in (({"dtype": "float16"}, {}, "dtype is not an option here"), ({"max_model_len": 5}, {"max_length": 4}, "say the same")):
            with self.assertRaisesRegex(Refused, pattern):
                engine_file.Vllm.check(Module("m", options=options, **more), {})

    def test_the_engines_own_shutdown_is_found(self):
        for make in (
            lambda stop: SimpleNamespace(llm_engine=SimpleNamespace(engine_core=SimpleNamespace(shutdown=stop))),
            lambda stop: SimpleNamespace(llm_engine=SimpleNamespace(model_executor=SimpleNamespace(shutdown=stop))),
            lambda stop: SimpleNamespace(shutdown=stop),
        ):
            stopped = []
            version.shut_down(make(lambda timeout=None, stopped=stopped: stopped.append(timeout)))
            self.assertEqual(stopped, [version.SHUTDOWN_S])
        version.shut_down(None)

    def test_a_core_that_ends_is_told_to_who_waits_for_it(self):
        import queue
        import subprocess

        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as core:
            outputs, process = queue.Queue(), SimpleNamespace(sentinel=os.pidfd_open(core.pid))
            resources = SimpleNamespace(engine_manager=SimpleNamespace(processes=[process]))
            version.watch_core(SimpleNamespace(engine_core=SimpleNamespace(outputs_queue=outputs, resources=resources)))
            self.assertTrue(outputs.empty())
            core.kill()
            self.assertIsInstance(outputs.get(timeout=30), EngineBroken)
        os.close(process.sentinel)
        version.watch_core(SimpleNamespace())  # a version without one

    def test_files_in_shared_memory_are_known_by_who_maps_them(self):
        import mmap

        with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="proctor-test-", delete=False) as file:
            file.truncate(4096)
            with mmap.mmap(file.fileno(), 4096):
                self.assertIn(file.name, version.shared_memory())
            self.assertNotIn(file.name, version.shared_memory())
            version.sweep({file.name, "/dev/shm/proctor-test-gone"})
        self.assertFalse(Path(file.name).exists())

    def test_so_are_semaphores_whose_mapping_has_another_name(self):
        import multiprocessing

        lock = multiprocessing.get_context("spawn").Lock()
        self.assertIn("/dev/shm/sem." + lock._semlock.name.lstrip("/"), version.shared_memory())


def vllms_files():
    return {name for name in os.listdir("/dev/shm") if name.startswith(("psm_", "sem.mp-", "vllm_dist_"))}


@unittest.skipUnless(HAS_VLLM, "vllm or msgpack is missing")
@unittest.skipUnless(TOKENIZER.is_dir(), f"{TOKENIZER} is missing; the build makes it")
class RealVllm(unittest.TestCase):
    PROGRAM = [sys.executable, "-B", "-m", "proctor.engines.vllm"]

    @classmethod
    def setUpClass(cls):
        import agent
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        cls.client = agent
        agent.DEADLINE_S = LOAD_S
        cls.folder = Path(tempfile.mkdtemp(prefix="proctor-vllm-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        torch.manual_seed(0)
        sizes = {"vocab_size": 258, "hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2}
        cls.models = {}
        for layers in (2, 3):
            config = LlamaConfig(num_hidden_layers=layers, max_position_embeddings=256, initializer_range=0.2, bos_token_id=256, eos_token_id=257, **sizes)
            model = LlamaForCausalLM(config).float().eval()
            model.save_pretrained(cls.folder / str(layers))
            for name in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(TOKENIZER / name, cls.folder / str(layers))
            cls.models[layers] = model

    def agent(self):
        return self.client.Agent(self.PROGRAM, VLLM_CPU_KVCACHE_SPACE="1")

    def module(self, layers, **more):
        return {"path": str(self.folder / str(layers)), "dtype": "float32", "options": {"enforce_eager": True}, **more}

    def reference(self, layers, context, continuation):
        import torch
        from transformers import AutoTokenizer

        codec = engine_file.Codec(AutoTokenizer.from_pretrained(self.folder / str(layers)))
        before, targets = codec.encode_pair(context, continuation)
        with torch.no_grad():
            logits = self.models[layers](input_ids=torch.tensor([before + targets[:-1]])).logits[0, -len(targets):].double()
        return float((logits - logits.logsumexp(1, keepdim=True))[range(len(targets)), targets].sum())

    def test_two_models_in_turn_leave_nothing(self):
        pairs = [("The sky is", " blue"), ("The sky is", " green"), ("Which? ", "A"), ("Which? ", "B"), ("", "abc")]
        asked = [self.client.request("|".join(pair), "loglikelihood") for pair in pairs] + [self.client.request("The sky is")]
        before, answers = vllms_files(), []
        with self.agent() as agent:
            self.assertEqual(agent.ready()["engine"]["name"], "vllm")
            for layers in (2, 3, 2):
                agent.opened(**self.module(layers))
                answers.append(agent.answered(asked))
                for pair, one in zip(pairs, answers[-1], strict=False):
                    self.assertAlmostEqual(one["answer"]["loglikelihood"]["loglikelihood"], self.reference(layers, *pair), delta=1e-3)
                row = agent.close()
                print(f"vllm, {layers} layers: load {row['load_s']:.1f} s, steps", json.dumps({name: round(spent, 2) for name, spent in row["steps"].items()}))
                self.assertEqual([name for name in row["steps"] if name != "close"], STEPS)
                self.assertEqual(self.client.children(agent.process.pid), [])
                self.assertEqual(vllms_files() - before, set())
            self.assertEqual(answers[0], answers[2])
            self.assertEqual(agent.leave(), 0)

    def test_a_dead_engine_is_said_to_be_broken(self):
        with self.agent() as agent:
            agent.ready()
            agent.opened(**self.module(2))
            core = next(pid for pid in self.client.children(agent.process.pid) if b"EngineCore" in Path(f"/proc/{pid}/cmdline").read_bytes())
            os.kill(core, signal.SIGKILL)
            kind, body = self.client.sent(agent, [self.client.request("The sky is")])
            self.assertEqual((kind, body["gang_broken"], body["out_of_memory"]), ("ShardFailed", True, False))

    def test_an_adapter_is_its_products_added_to_the_weights(self):
        import copy

        import torch
        from safetensors.torch import save_file

        folder, rank, scale = self.folder / "adapter", 4, 2.0
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": rank * scale, "target_modules": ["q_proj", "v_proj"],
                                                                "bias": "none", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(self.folder / "2")}))
        torch.manual_seed(1)
        merged, tensors = copy.deepcopy(self.models[2]), {}
        for name, layer in merged.named_modules():
            if name.endswith(("q_proj", "v_proj")):
                down, up = torch.randn(rank, layer.in_features) * 0.2, torch.randn(layer.out_features, rank) * 0.2
                tensors |= {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}
                layer.weight.data += scale * up @ down
        save_file(tensors, folder / "adapter_model.safetensors")
        plain = self.reference(2, "The sky is", " blue")
        with mock.patch.dict(self.models, {2: merged}):
            adapted = self.reference(2, "The sky is", " blue")
        self.assertGreater(abs(adapted - plain), 0.1)
        with self.agent() as agent:
            agent.ready()
            agent.opened(**self.module(2, options={"enforce_eager": True, "adapter": str(folder)}))
            (one,) = agent.answered([self.client.request("The sky is| blue", "loglikelihood")])
            agent.close()
        self.assertAlmostEqual(one["answer"]["loglikelihood"]["loglikelihood"], adapted, delta=1e-3)

    def test_two_processes_share_a_model(self):
        before = vllms_files()
        with self.agent() as agent:
            agent.ready()
            agent.open(**self.module(2, tensor_parallel=2))
            while (report := agent.receive())[0] == "Progress":
                pass
            if report[0] == "OpenFailed":
                self.skipTest(f"this build of vLLM has no tensor parallelism here: {report[1]['message']}")
            (one,) = agent.answered([self.client.request("The sky is| blue", "loglikelihood")])
            self.assertAlmostEqual(one["answer"]["loglikelihood"]["loglikelihood"], self.reference(2, "The sky is", " blue"), delta=1e-3)
            agent.close()
            self.assertEqual((self.client.children(agent.process.pid), vllms_files() - before), ([], set()))


if __name__ == "__main__":
    unittest.main()
