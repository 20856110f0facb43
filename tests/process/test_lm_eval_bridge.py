"""proctor.lm_eval: what is written for proctor and read back, with a proctor that only notes how it was called; and a real run."""
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "python")]
import tiny_models  # noqa: E402
from proctor.lm_eval import run  # noqa: E402
from proctor.lm_eval.__main__ import with_model  # noqa: E402

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
GREEDY = {"until": ["\n"], "max_gen_toks": 8, "do_sample": False}
PAIRS = [{"type": "loglikelihood", "context": "a\u2028b", "continuation": " c"}, {"type": "loglikelihood", "context": "a", "continuation": " c"},
         {"type": "loglikelihood", "context": "a", "continuation": " c"}]
FACTS = {"parameters": 7, "checkpoint_dtype": "float32", "max_length": 64, "model_hash": "00ff"}
# Notes its arguments in calls.jsonl, then does what behaviour.json says: an exit code, the ids that fail, or waits for a signal.
FAKE = """#!/usr/bin/env python3
import json, signal, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
behaviour = json.loads((here / "behaviour.json").read_text())
if "wait" in behaviour:
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
    (here / "ready").touch()
    signal.pause()
suite_file, out = Path(sys.argv[2]), Path(sys.argv[sys.argv.index("--out") + 1])
suite = json.loads(suite_file.read_text())
task = json.loads((suite_file.parent / suite["tasks"][0]).read_text())
requests = [json.loads(line) for line in open(suite_file.parent / task["data"], newline="\\n")]
folder = out / "responses" / suite["modules"][0]["name"]
folder.mkdir(parents=True, exist_ok=True)
with open(folder / (task["task"] + ".jsonl"), "w") as file:
    for i, request in enumerate(requests[behaviour.get("lose", 0):]):
        answer = {"loglikelihood": -i - 0.5, "is_greedy": i == 0, "text": "t\u2028" + str(i)}
        file.write(json.dumps({"id": i, **({"error": "too long"} if i in behaviour.get("fail", []) else answer)}, ensure_ascii=False) + "\\n")
print("a table")
sys.exit(behaviour.get("code", 0))
"""


class FakeProctorCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="proctor-bridge-")
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name).resolve()
        self.script("proctor", FAKE)
        self.script("proctor-worker", f"#!/bin/sh\n[ -d \"$2\" ] && echo '{json.dumps(FACTS)}'\n")
        (self.root / "tiny").mkdir()
        (self.root / "tiny/model.safetensors").write_bytes(b"weights")
        self.behave()

    def script(self, name, text):
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def behave(self, **behaviour):
        (self.root / "behaviour.json").write_text(json.dumps(behaviour))

    def args(self, **more):
        return {"pretrained": str(self.root / "tiny"), "proctor": str(self.root / "proctor"), "out": str(self.root / "runs"), **more}

    def runner(self, **more):
        return run.Runner(run.Settings.from_args(self.args(**more)))

    def calls(self):
        return [json.loads(line) for line in (self.root / "calls.jsonl").read_text().splitlines()]

    def directories(self):
        return sorted((self.root / "runs").iterdir())

    def refused(self, *said, call):
        with self.assertRaises(run.BridgeError) as caught:
            call()
        for text in said:
            self.assertIn(text, str(caught.exception))
        return caught.exception


class Requests(FakeProctorCase):
    def test_a_suite_of_requests_is_written_and_its_answers_come_back_in_order(self):
        answers = self.runner(dtype="float32", max_length=32).answers("loglikelihood", PAIRS)
        self.assertEqual([a["loglikelihood"] for a in answers], [-0.5, -1.5, -2.5])
        (directory,) = self.directories()
        self.assertRegex(directory.name, "^lm-eval-[0-9a-f]{16}$")
        self.assertEqual(json.loads((directory / "suite.yaml").read_text()),
                         {"suite": "lm-eval", "tasks": ["task.yaml"],
                          "modules": [{"name": "tiny", "path": str(self.root / "tiny"), "dtype": "float32", "max_length": 32}]})
        self.assertEqual(json.loads((directory / "task.yaml").read_text()), {"task": "loglikelihood", "type": "requests", "data": "requests.jsonl"})
        self.assertEqual([json.loads(line) for line in (directory / "requests.jsonl").read_bytes().splitlines()], PAIRS)
        self.assertEqual(sorted(p.name for p in directory.iterdir()), ["requests.jsonl", "run", "suite.yaml", "task.yaml"])
        self.assertEqual(self.calls(), [["run", str(directory / "suite.yaml"), "--out", str(directory / "run"), "--device", "auto", "--redo-changed"]])

    def test_the_launcher_stands_before_proctor_and_gives_each_rank_a_worker(self):
        for more, workers in (({"launcher": "env A=1"}, ["--workers", "1"]), ({"launcher": "env A=1", "workers": "auto"}, []), ({"workers": 3}, ["--workers", "3"])):
            command = self.runner(**more, device="cpu").command(self.root)
            at = command.index(str(self.root / "proctor"))
            self.assertEqual(command[:at], ["env", "A=1"] if "launcher" in more else [])
            self.assertEqual(command[at + 5:], ["--device", "cpu", "--redo-changed", *workers])
        self.runner(launcher="env A=1").answers("loglikelihood", PAIRS)
        self.assertEqual(self.calls()[0][-2:], ["--workers", "1"])

    def test_the_same_requests_are_asked_in_the_same_directory_after_a_crash_too(self):
        self.behave(code=4)
        failed = self.refused("exit code 4", "runs/lm-eval-", "the command was", call=lambda: self.runner().answers("loglikelihood", PAIRS))
        self.assertEqual(failed.code, 4)
        self.behave()
        self.runner(workers=2, device="cpu").answers("loglikelihood", PAIRS)
        self.assertEqual(len(self.directories()), 1)
        self.assertEqual(self.calls()[0][:4], self.calls()[1][:4])

    def test_other_requests_settings_or_weights_are_another_directory(self):
        self.runner().answers("loglikelihood", PAIRS)
        self.runner().answers("loglikelihood", PAIRS[:2])
        self.runner().answers("loglikelihood_rolling", PAIRS)
        self.runner(dtype="bfloat16").answers("loglikelihood", PAIRS)
        self.runner(cpu_threads=2).answers("loglikelihood", PAIRS)
        os.utime(self.root / "tiny/model.safetensors", ns=(1, 1))  # other weights of the same size
        self.runner().answers("loglikelihood", PAIRS)
        self.assertEqual(len(self.directories()), 6)

    def test_a_failed_request_ends_it_and_names_the_run(self):
        self.behave(code=3, fail=[1, 2])
        failed = self.refused("2 of 3 loglikelihood requests failed", "line 2: too long; line 3: too long", "runs/lm-eval-",
                              call=lambda: self.runner().answers("loglikelihood", PAIRS))
        self.assertEqual(failed.code, 3)

    def test_missing_answers_are_not_taken_for_all(self):
        self.behave(lose=1)
        self.refused("2 answers to 3 requests", call=lambda: self.runner().answers("loglikelihood", PAIRS))

    def test_a_run_stopped_early_is_to_be_started_again(self):
        self.behave(code=75)
        self.assertEqual(self.refused("the same command goes on", call=lambda: self.runner().answers("loglikelihood", PAIRS)).code, 75)

    def test_signals_reach_proctor_and_are_waited_for(self):
        self.behave(wait=True)
        script = (f"import json, sys; sys.path.insert(0, {str(ROOT / 'python')!r}); from proctor.lm_eval import run\n"
                  "try: run.Runner(run.Settings.from_args(json.loads(sys.argv[1]))).answers('loglikelihood', json.loads(sys.argv[2]))\n"
                  "except run.BridgeError as error: print(error); sys.exit(error.code)")
        process = subprocess.Popen([sys.executable, "-B", "-c", script, json.dumps(self.args()), json.dumps(PAIRS)], stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 30
        while not (self.root / "ready").exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)  # alone it must not kill what proctor is draining
        process.send_signal(signal.SIGUSR1)
        output, _ = process.communicate(timeout=30)
        self.assertEqual((process.returncode, output.count("stopped early")), (75, 1), output)

    def test_nothing_is_run_for_no_requests(self):
        self.assertEqual(self.runner().answers("loglikelihood", []), [])
        self.assertFalse((self.root / "runs").exists())

    def test_wrong_arguments_are_refused_by_name(self):
        for args, said in (({"parallelize": True}, "parallelize: not known (proctor has: pretrained, dtype"), ({"tensor_parallel": "two"}, "tensor_parallel: expected a whole number"),
                           ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"), ({"add_bos_token": "maybe"}, "add_bos_token"), ({"pretrained": None}, "pretrained is missing"),
                           ({"proctor": "/nowhere/proctor"}, "no proctor at /nowhere/proctor"), ({"pretrained": "org/none@v1"}, "huggingface-cli download org/none --revision v1")):
            with self.subTest(args):
                self.refused(said, call=lambda: self.runner(**args))

    def test_a_model_is_found_in_the_hugging_face_cache(self):
        repository = self.root / "hub/models--org--name"
        (repository / "snapshots/abc").mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs/main").write_text("abc")
        for name, environment in (("org/name", {"HF_HUB_CACHE": str(self.root / "hub")}), ("org/name@abc", {"HF_HOME": str(self.root)})):
            self.assertEqual(run.find_model(name, environment), repository / "snapshots/abc")
        with mock.patch.dict(os.environ, {"HF_HUB_CACHE": str(self.root / "hub")}):
            runner = self.runner(pretrained="org/name@abc")
        self.assertEqual((runner.revision(), runner.settings.module(runner.folder)["name"]), (("abc", "abc"), "name"))


class Conversion(unittest.TestCase):
    def row(self, config=None, **kwargs):
        row = run.generation_row("c", {**GREEDY, **kwargs}, config or {})
        self.assertEqual([row.pop(key) for key in ("type", "context", "max_gen_toks")], ["generate_until", "c", 8])
        return row

    def test_greedy_has_no_sampling_keys(self):
        greedy = {"until": ["\n"]}
        self.assertEqual(self.row(until=["\n", ""]), greedy)
        self.assertEqual(self.row(temperature=0.0, top_p=0.9, num_beams=1), greedy)
        self.assertEqual(self.row(do_sample=True, temperature=0.0), greedy)
        self.assertEqual(self.row(repetition_penalty=1.1), {**greedy, "repetition_penalty": 1.1})

    def test_sampling_has_transformers_defaults(self):
        sampled = {"do_sample": True, "temperature": 0.7}
        self.assertEqual(self.row(**sampled), {"until": ["\n"], "temperature": 0.7, "top_k": 50})
        self.assertEqual(self.row({"top_k": 20, "top_p": 0.8, "temperature": 0.6}, **sampled), {"until": ["\n"], "temperature": 0.7, "top_k": 20, "top_p": 0.8})
        self.assertEqual(self.row({"top_k": 20}, **sampled, top_k=0, top_p=0.9), {"until": ["\n"], "temperature": 0.7, "top_p": 0.9})

    def test_what_proctor_cannot_do_is_refused_by_name(self):
        for config, kwargs, said in (({}, {"num_beams": 4, "typical_p": 0.9}, "num_beams, typical_p"), ({}, {"do_sample": True}, "without a temperature"),
                                     ({"min_p": 0.1}, {"do_sample": True, "temperature": 1.0}, "min_p = 0.1")):
            with self.subTest(said), self.assertRaisesRegex(run.BridgeError, said):
                self.row(config, **kwargs)

    def test_many_copies_of_the_command_are_refused(self):
        run.refuse_many_copies({"WORLD_SIZE": "1", "PMI_SIZE": ""})
        for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"):
            with self.assertRaisesRegex(run.BridgeError, f'{name}=4.*launcher="mpirun -n 4"'):
                run.refuse_many_copies({name: "4"})

    def test_the_model_is_proctor_unless_another_is_named(self):
        self.assertEqual(with_model(["--tasks", "a", "b"]), ["--tasks", "a", "b", "--model", "proctor"])
        self.assertEqual(with_model(["run", "--tasks", "a"])[-2:], ["--model", "proctor"])
        for untouched in ([], ["--help"], ["run"], ["ls", "tasks"], ["--model", "hf", "--tasks", "a"], ["--model=hf", "-t", "a"], ["-M", "hf", "-t", "a"]):
            self.assertEqual(with_model(untouched), untouched)


@unittest.skipUnless(HAS_LM_EVAL, "lm_eval is not importable by this Python")
class Model(FakeProctorCase):
    def setUp(self):
        super().setUp()
        from lm_eval.api.instance import Instance
        from lm_eval.api.registry import get_model
        import proctor.lm_eval.model  # noqa: F401
        self.instance = lambda kind, *args: Instance(request_type=kind, doc={}, arguments=args, idx=0)
        self.model = get_model("proctor").create_from_arg_obj(self.args(), {"device": "cuda:0", "batch_size": "auto", "max_batch_size": None})

    def test_answers_have_lm_evals_shapes_and_reach_its_cache(self):
        self.model.cache_hook = mock.Mock()
        self.assertEqual(self.model.loglikelihood([self.instance("loglikelihood", "a", "b"), self.instance("loglikelihood", "a", "c")]), [(-0.5, True), (-1.5, False)])
        self.assertEqual(self.model.loglikelihood_rolling([self.instance("loglikelihood_rolling", "a")]), [-0.5])
        kwargs = {"until": "x", "max_new_tokens": 4, "temperature": 0.5}
        self.assertEqual(self.model.generate_until([self.instance("generate_until", "a", kwargs)]), ["t\u20280"])
        self.assertEqual([c.args for c in self.model.cache_hook.add_partial.call_args_list],
                         [("loglikelihood", ("a", "b"), (-0.5, True)), ("loglikelihood", ("a", "c"), (-1.5, False)),
                          ("loglikelihood_rolling", ("a",), -0.5), ("generate_until", ("a", kwargs), "t\u20280")])
        written = json.loads((Path(self.calls()[-1][1]).parent / "requests.jsonl").read_text())
        self.assertEqual(written, {"type": "generate_until", "context": "a", "until": ["x"], "max_gen_toks": 4, "temperature": 0.5, "top_k": 50})

    def test_one_rank_and_the_models_facts(self):
        self.assertEqual((self.model.rank, self.model.world_size, self.model.max_length, self.model.runner.settings.device), (0, 1, 64, "auto"))
        self.assertEqual(self.model.get_model_info(), {"model_num_parameters": 7, "model_revision": "main", "model_sha": "", "model_dtype": "torch.float32", "model_hash": "00ff"})
        with mock.patch.dict(os.environ, {"WORLD_SIZE": "2"}):
            self.refused("WORLD_SIZE=2", call=lambda: type(self.model)(**self.args()))

    def test_lm_evals_own_models_stay_known(self):
        from lm_eval.api.registry import get_model
        self.assertEqual(get_model("dummy").__name__, "DummyLM")

    @unittest.skipUnless(importlib.util.find_spec("transformers"), "transformers is not importable by this Python")
    def test_the_chat_template_is_the_tokenizers(self):
        folder = tiny_models.write_model(self.root / "chatty", "llama")
        config = json.loads((folder / "tokenizer_config.json").read_text())
        template = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}<{{ m.content }}>{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
        (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
        model = type(self.model)(**self.args(pretrained=str(folder)))
        self.assertEqual((model.chat_template(False), model.chat_template(True)), (None, template))
        chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        self.assertEqual(model.apply_chat_template(chat), "<u>A:")
        self.assertEqual(model.apply_chat_template([*chat[1:], {"role": "assistant", "content": "so"}], add_generation_prompt=False), "<u><so")
        self.assertEqual((model.tokenizer_name, model.eot_token_id), (str(folder).replace("/", "__"), 257))


@unittest.skipUnless("PROCTOR_BIN" in os.environ, "PROCTOR_BIN names no built proctor")
class RealProctor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="proctor-bridge-")
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        tiny_models.write_model(self.root / "llama", "llama")
        self.args = {"pretrained": str(self.root / "llama"), "proctor": f"{os.environ['PROCTOR_BIN']}/proctor", "out": str(self.root / "runs"), "device": "cpu", "workers": 1}

    def test_proctor_takes_what_is_written(self):
        runner = run.Runner(run.Settings.from_args(self.args))
        pairs = runner.answers("loglikelihood", PAIRS)
        self.assertEqual((len(pairs), pairs[1]["loglikelihood"]), (3, pairs[2]["loglikelihood"]))
        (text,) = runner.answers("generate_until", [run.generation_row("ab", GREEDY, {})])
        self.assertEqual(type(text["text"]), str)
        long = {**PAIRS[0], "continuation": "x" * 100}  # more than the model's 64 tokens
        with self.assertRaisesRegex(run.BridgeError, "1 of 1 loglikelihood requests failed"):
            runner.answers("loglikelihood", [long])

    @unittest.skipUnless(HAS_LM_EVAL, "lm_eval is not importable by this Python")
    def test_lm_evals_command_line_prints_its_table(self):
        (self.root / "x.jsonl").write_text("".join(json.dumps({"q": f"q{i}", "c": ["a", "b"], "g": i % 2}) + "\n" for i in range(4)))
        (self.root / "x.yaml").write_text(json.dumps({"task": "x_task", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(self.root / "x.jsonl")}},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "{{c}}", "doc_to_target": "{{g}}"}))
        model_args = ",".join(f"{key}={value}" for key, value in self.args.items())
        done = subprocess.run([sys.executable, "-B", "-m", "proctor.lm_eval", "--model_args", model_args, "--tasks", "x_task", "--include_path", str(self.root)], cwd=self.root,
                              capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "HF_HOME": str(self.root / "hf"), "HF_DATASETS_OFFLINE": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("|x_task|", done.stdout)
        self.assertIn("llama / loglikelihood", done.stderr)


if __name__ == "__main__":
    unittest.main()
