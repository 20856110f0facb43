"""Bad input: each with its message and exit code, before any work starts; nothing is left behind."""
import json
import os
import struct
import subprocess
import unittest

from support import BIN, RunCase, TASKS


class BadInput(RunCase):
    def refused(self, code, *parts, suite="suite.yaml", more=()):
        done = self.proctor("run", suite, "--out", "run", "--device", "cpu", *(more or ("--workers", "1")))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertFalse((self.root / "run").exists(), "nothing may be written before the input is known to be good")

    def task(self, **changes):
        self.write("choice.yaml", {**TASKS["choice"], **changes})

    def config(self, **changes):
        path = self.root / "llama/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def weights(self, edit):
        path = self.root / "llama/model.safetensors"
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = edit(json.loads(data[8:8 + size]))
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])

    def test_suite_and_task_files(self):
        self.write("suite.yaml", self.suite(modles=[]))
        self.refused(2, "suite: unknown key 'modles'; did you mean 'modules'?", "suite.yaml:")
        self.write("suite.yaml", self.suite(seed="x"))
        self.refused(2, "seed: expected a whole number")
        self.refused(2, "nowhere.yaml: no such file", suite="nowhere.yaml")
        self.write("suite.yaml", self.suite(tasks=["gone.yaml"]))
        self.refused(2, "gone.yaml: no such file")

    def test_templates(self):
        self.task(prompt="{% for x in y %}")
        self.refused(2, "begins Jinja code", "lm-eval bridge", "choice.yaml")
        self.task(prompt="no placeholder")
        self.refused(2, "prompt: has no {{field}}")
        self.task(prompt="{{question}}")
        self.refused(5, "choice.jsonl:", "the row has no field 'question', which the template")

    def test_data(self):
        self.rows("choice", [])
        self.refused(5, "choice.jsonl: holds no rows")
        self.rows("choice", [{"q": "x", "c": ["a"], "gold": 0}, {"q": "x", "gold": 0}])
        self.refused(5, "choice.jsonl:2: the row has no field 'c'")
        self.rows("choice", [{"q": "x", "c": ["a", "b"], "gold": 0}, {"q": "y", "c": ["a", "b"], "gold": 7}])
        self.refused(5, "choice.jsonl:2: answer 7 is neither one of the 2 choices nor an index")
        self.rows("choice", [{"q": "x", "c": ["a", ""], "gold": 0}, {"q": "y", "c": ["a", "b"], "gold": 0}])
        self.task(target_delimiter="")
        self.refused(5, "choice.jsonl:1: a choice is empty")

    def test_model_paths(self):
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": "./nowhere"}]))
        self.refused(5, "nowhere: no such model folder")
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": "org/model@v2"}]))
        self.refused(5, "huggingface-cli download org/model --revision v2")

    def test_weights(self):
        def all_but_last(header):
            header.popitem()
            return header
        path = self.root / "llama/model.safetensors"
        good = path.read_bytes()
        path.write_bytes(good[:-100])
        self.refused(5, "model.safetensors: tensor", "is the file truncated?")
        path.write_bytes(struct.pack("<Q", 1 << 60) + good[8:])
        self.refused(5, "header of 1152921504606846976 bytes (the bound is")
        path.write_bytes(good)
        self.weights(all_but_last)
        self.refused(5, "is missing from the checkpoint")
        path.write_bytes(good)

        def overlap(header):
            names = [n for n in header if header[n]["shape"] == [32]]
            header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
            return header
        self.weights(overlap)
        self.refused(5, "overlap")
        path.write_bytes(good)
        self.weights(lambda header: {**header, "model.norm.weight": {**header["model.norm.weight"], "shape": [4, 8]}})
        self.refused(5, "tensor model.norm.weight has shape [4,8], config.json asks for [32]")

    def test_model_configuration(self):
        self.config(architectures=["XLNetLMHeadModel"])
        self.refused(5, "architecture XLNetLMHeadModel is not supported")
        self.config(architectures=["LlamaForCausalLM"], attention_multiplier=2.0)
        self.refused(5, "config.json: \"attention_multiplier\" is a key")
        self.config(attention_multiplier=None, quantization_config={"quant_method": "gptq"})
        self.refused(5, "quantised models are not supported")

    def test_tokenizer(self):
        path = self.root / "llama/tokenizer.json"
        tokenizer = json.loads(path.read_text())
        path.write_text(json.dumps({**tokenizer, "model": {"type": "Letters", "vocab": {}}}))
        self.refused(5, "tokenizer model 'Letters' is not known")

    def test_command_line(self):
        self.refused(2, "--workers 0: expected 1 to 1024", more=("--workers", "0"))
        self.refused(2, "--devices", more=("--devices", "cpu"))

    def test_pipes_folders_and_links_in_a_circle(self):
        """None is opened: whoever writes a pipe may never come."""
        places = [("suite.yaml", 2), ("choice.jsonl", 2), ("choice.yaml", 2), ("llama/config.json", 5), ("llama/tokenizer.json", 5), ("llama/model.safetensors", 5),
                  *((f"llama/{name}.json", 5) for name in ("generation_config", "tokenizer_config", "special_tokens_map", "added_tokens", "modules", "sentence_bert_config",
                                                           "config_sentence_transformers"))]
        for name, code in places:
            path = self.root / name
            kept = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            for make, said in ((os.mkfifo, "is a pipe"), (os.mkdir, "is a folder"), (lambda p: os.symlink(p.name, p), "Too many levels of symbolic links"),
                               (lambda p: os.symlink("nowhere", p), "is a link to nothing")):
                with self.subTest(name=name, said=said):
                    make(path)
                    try:
                        self.refused(code, name.split("/")[-1], said)
                    finally:
                        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            if kept is not None:
                path.write_bytes(kept)

    def test_names_that_no_file_can_have(self):
        long = "x" * 300
        self.refused(2, "File name too long", suite=long)
        done = self.proctor("run", "suite.yaml", "--out", long, "--device", "cpu", "--workers", "1")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("File name too long", done.stderr)
        self.task(data={"test": long + ".jsonl"})
        self.refused(2, "File name too long")
        self.write("choice.yaml", TASKS["choice"])
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": long}]))
        self.refused(5, "File name too long")
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": "llama/config.json/x"}]))
        self.refused(5, "no such model folder")

    def test_what_is_not_utf8(self):
        (self.root / "latin.yaml").write_bytes("suite: caf\u00e9\n".encode("latin-1"))
        self.refused(2, "latin.yaml: line 1 is not UTF-8 (byte 0xE9 after 'suite: caf')", suite="latin.yaml")
        folder = os.fsencode(self.root) + b"/caf\xe9"
        os.rename(self.root / "llama", folder)
        with open(self.root / "escaped.yaml", "w") as file:
            file.write('suite: s\ntasks: [choice.yaml]\nmodules: [{name: a, path: "caf\\xe9"}]\n')
        self.refused(5, "no such model folder", suite="escaped.yaml")
        done = subprocess.run([BIN / "proctor", "run", "../suite.yaml", "--device", "cpu", "--workers", "1", "--out", "run"], cwd=folder, capture_output=True)
        self.assertNotIn(b"internal error", done.stderr)
        self.assertEqual(done.returncode, 5, done.stderr)
        os.rename(folder, self.root / "llama")
        self.proctor_bytes(b"run", b"suite.yaml", b"--out", b"r\xe9n", b"--device", b"cpu", b"--workers", b"1", b"--limit", b"2", code=0)
        self.proctor_bytes(b"show", b"r\xe9n", code=0)
        self.proctor_bytes(b"run", b"suite.yaml", b"--out", b"other", b"--device", b"cpu", b"--set", b"seed=\xe9", code=2)

    def proctor_bytes(self, *arguments, code):
        done = subprocess.run([os.fsencode(BIN / "proctor"), *arguments], cwd=self.root, capture_output=True)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn(b"internal error", done.stderr)

    def test_a_working_folder_that_is_gone(self):
        gone = self.root / "gone"
        gone.mkdir()
        done = subprocess.run(["sh", "-c", f"rmdir {gone}; exec {BIN}/proctor run suite.yaml --device cpu"], cwd=gone, capture_output=True, text=True)
        self.assertIn(done.returncode, (2, 4), done.stderr)
        self.assertIn("no such file", done.stderr.lower())
        gone.mkdir()
        done = subprocess.run(["sh", "-c", f"rmdir {gone}; exec {BIN}/proctor run {self.root}/suite.yaml --device cpu --workers 1"], cwd=gone, capture_output=True, text=True)
        self.assertIn(done.returncode, (2, 4), done.stderr)
        self.assertNotIn("internal error", done.stderr)

    def test_a_home_folder_is_written_with_a_tilde(self):
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": "~/llama"}], tasks=["~/choice.yaml"]))
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1", "--limit", "2", environment={"HOME": str(self.root)})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_another_limit(self):
        run = ("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1", "--limit")
        self.assertEqual(self.proctor(*run, "2").returncode, 0)
        done = self.proctor(*run, "3")
        self.assertEqual(done.returncode, 2)
        self.assertIn("it began with --limit 2, now there is --limit 3", done.stderr)

    def test_show_of_a_results_file_that_is_not_its_own(self):
        self.assertEqual(self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1", "--limit", "2").returncode, 0)
        for text in ("{}", "[]", "null", "no JSON", '{"results": 3, "group_subtasks": {"a": ["b"]}, "n-shot": 1, "versions": []}', '{"group_subtasks": []}'):
            (self.root / "run/results/a.json").write_text(text)
            done = self.proctor("show", "run")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("a.json: is no results file of proctor's", done.stdout)

    def test_many_failures_are_not_all_printed(self):
        self.rows("say", [{"q": "a" * 200, "a": "b"} for _ in range(200)])
        self.write("say.yaml", {**TASKS["say"], "on_long": "fail"})
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1", "--set", "modules.a.tasks=[say]", "--set", "modules.b.tasks=[say]")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout.count("failed: "), 20)
        self.assertIn("... and 380 more: proctor show", done.stdout)
        self.assertEqual(self.proctor("show", "run", "--failures").stdout.count("failed: "), 400)

    def test_truncated_prompts_are_said(self):
        self.rows("say", [{"q": "a" * 200, "a": "b"} for _ in range(4)])
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("say: 4 requests of 4 documents truncated to the model's 64 tokens", done.stdout)
        self.assertIn("say: 4 requests of 4 documents truncated", self.proctor("show", "run").stdout)

    def test_git_lfs_pointers(self):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        for name in ("llama/model.safetensors", "llama/tokenizer.json"):
            path = self.root / name
            kept = path.read_bytes()
            path.write_text(pointer)
            self.refused(5, "git-lfs pointer")
            path.write_bytes(kept)

    def test_threads_that_no_node_has(self):
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--workers", "1", "--set", "machine.cpu_threads=4096")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("machine.cpu_threads is 4096, and ", done.stderr)
        self.assertIn("at most 8 threads a core", done.stderr)

    def test_a_run_directory_of_another_suite(self):
        self.run_suite("other", "--limit", "2")
        self.write("suite.yaml", self.suite(suite="else"))
        done = self.proctor("run", "suite.yaml", "--out", "other", "--workers", "1", "--device", "cpu")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("the run directory belongs to suite 'tiny', not 'else'", done.stderr)

    def test_a_run_directory_without_its_database(self):
        self.run_suite("run", "--limit", "2")
        (self.root / "run/run.db").unlink()
        done = self.proctor("run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("run.db: is missing beside suite.yaml", done.stderr)

    def test_ranks_on_one_node_need_an_explicit_number_of_workers(self):
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", ranks=2)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("2 ranks share a node", done.stderr)

    def test_no_gpu(self):
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cuda")
        if done.returncode == 0:
            self.skipTest("this machine has a GPU")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("no CUDA device is visible", done.stderr)

    def test_worker_commands(self):
        def worker(*arguments, text=""):
            return subprocess.run([str(BIN / "proctor-worker"), *arguments], input=text, capture_output=True, text=True, cwd=self.root, timeout=60)
        self.assertEqual(worker("check", "nowhere").returncode, 5)
        self.assertEqual(json.loads(worker("check", "llama").stdout)["max_length"], 64)
        module = {"name": "m", "kind": "llm_reranker", "path": "llama", "dtype": "auto", "tensor_parallel": 1, "max_length": 32}
        self.assertEqual(json.loads(worker("check", "llama", "--module", json.dumps(module)).stdout)["max_length"], 32)
        self.assertEqual(worker("tokenize", "llama", text='"ab"\n').stdout, "[97,98]\n")
        self.assertEqual(worker("tokenize", "llama", "--types", text='["a","b"]\n').stdout, '{"ids":[97,98],"type_ids":[0,1]}\n')
        self.assertEqual(worker("tokenize", "llama", "--decode", text="[97,256]\n").stdout, '"a"\n')
        self.assertEqual(worker("tokenize", "llama", "--decode", "--keep-special", text="[97,256]\n").stdout, '"a<s>"\n')
        wrong = worker("tokenize", "llama", text='"a"\nb\n')
        self.assertEqual((wrong.returncode, "line 2" in wrong.stderr), (5, True))
        wrong = worker("check", "llama", "--module", '{"name": "m"}')
        self.assertEqual((wrong.returncode, "--module" in wrong.stderr, "for example" in wrong.stderr), (2, True, True))
        self.assertEqual(worker("walk").returncode, 2)
        self.assertIn("example", worker("--help").stdout)


if __name__ == "__main__":
    unittest.main()
