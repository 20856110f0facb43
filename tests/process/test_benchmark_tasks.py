"""The task files of configs/tasks beside lm-eval's tasks of the same names: the same prompts, continuations and stop strings, to the
byte, on rows that were invented here in the layout of each data set on the hub."""
import functools
import importlib.metadata
import importlib.util
import json
import logging
import os
import subprocess
import sys
import types
import unittest
from pathlib import Path
from unittest import mock

from support import RunCase

os.environ.update(HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")  # before anything imports them
ROOT = Path(__file__).resolve().parents[2]
TASKS = ROOT / "configs/tasks"
HAS_REFERENCES = all(importlib.util.find_spec(name) for name in ("lm_eval", "datasets", "pyarrow"))
# Where lm-eval's definition lies, for the tasks whose file there has another name than the task.
DEFINITIONS = {"arc_easy": "arc/arc_easy", "arc_challenge": "arc/arc_challenge", "piqa": "piqa/piqa", "boolq": "super_glue/boolq/default",
               "truthfulqa_mc1": "truthfulqa/truthfulqa_mc1", "truthfulqa_mc2": "truthfulqa/truthfulqa_mc2", "hellaswag": "hellaswag/hellaswag", "winogrande": "winogrande/default", "gsm8k": "gsm8k/gsm8k", "gsm8k_cot": "gsm8k/gsm8k-cot",
               "humaneval": "humaneval/humaneval", "ifeval": "ifeval/ifeval"}
# Metrics that are called otherwise than there, or are other ones. Those in Python are left out of the run.
IN_PYTHON = {"humaneval": ["pass_at_1"], "ifeval": ["prompt_level_strict_acc", "prompt_level_loose_acc"]}
OTHER_METRICS = {**{name: [{"python": f"{name}_metrics.py:{one}"} for one in functions] for name, functions in IN_PYTHON.items()}, "truthfulqa_mc2": ["probability_mass"], **dict.fromkeys(("minerva_math",), ["math_equal"])}
# With more examples than none: only where lm-eval's rule of drawing them is one that proctor has.
MORE_EXAMPLES = {"arc_easy": 3, "arc_challenge": 4, "truthfulqa_mc1": 2}


def arc(kind):
    letters, odd = list("ABCD"), {0: list("1234"), 3: list("ABCDE"), 4: list("123")}
    texts = ["a \"mop\"", "the moon's pull", "caf\u00e9", " 42 ", "none\nof it"]
    return [{"id": f"{kind}_{i}", "question": f"{kind} {i}: which of these lifts a tide? ", "choices": {"text": [f"{t} {i}" for t in texts][:len(labels)], "label": labels},
             "answerKey": labels[i % len(labels)]} for i in range(5) for labels in [odd.get(i, letters)]]


def piqa(kind):
    goals = ["dry a wet book", "{{goal}}, twice", "cool tea\nquickly ", "'open' a jar", "fold 7 \u00d7 7 paper"]
    return [{"goal": f"{kind} {goal}", "sol1": f"use \\ salt {i}", "sol2": ["wait", "", "it's \"fine\"", " blow ", "7"][i] or "ask", "label": i % 2} for i, goal in enumerate(goals)]


def boolq(kind):
    return [{"question": f"is the {kind} lamp {i} still lit", "passage": ["Lamps -- all of them -- burn oil.", "No lamp.\n\nNone.", "\u201cLit\u201d, said he. ", "{% if lamp %}", "5"][i],
             "idx": i, "label": (i + 1) % 2} for i in range(5)]


def truthfulqa(kind):
    return [{"question": f"Do {kind} ravens count to {i}? ", "mc1_targets": {"choices": ["Some do.", "It's \"known\"", f"{i}!", "\u00e9l\u00e9phants"][:2 + i % 3], "labels": [1, 0, 0, 0][:2 + i % 3]},
             "mc2_targets": {"choices": ["Some do.", "No"], "labels": [1, 0]}} for i in range(5)]


def gsm8k(kind):
    return [{"question": f"{kind}: a baker sells {i + 3} loaves at ${i + 2}.50 each.\nHow much is that? ", "answer": f"{i + 3} * {i + 2}.50 = <<1,0{i}0=1,0{i}0>>\nSo it is $1,0{i}0.\n#### 1,0{i}0"}
            for i in range(5 if kind == "test" else 9)]


def humaneval(kind):
    return [{"task_id": f"Invented/{i}", "prompt": f"def f{i}(x):\n    \"\"\"Add {i} to {{x}}.\n\n    >>> f{i}(1)\n    {i + 1}\n    \"\"\"\n", "canonical_solution": f"    return x + {i}\n",
             "test": f"\ndef check(candidate):\n    assert candidate(1) == {i + 1}\n", "entry_point": f"f{i}"} for i in range(5)]


def ifeval(kind):
    prompts = ["Write two lines about rain, without a comma.", "  Answer in <<title>> form. ", "Repeat {{this}}.\n\nThen stop.", "\u4f60\u597d, in English?", "12"]
    return [{"key": 9000 + i, "prompt": prompt, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"num_words": i}]} for i, prompt in enumerate(prompts)]


def bbh(name, kind):
    return [{"input": [f"{name}: not True is", "Sort: pear fig\nOptions:\n(A) x\n(B) y ", "\"Q: {{input}}\"", "[ { (", f"{i}"][i], "target": ["False", "(A)", "fig pear", ") } ]", "7"][i]} for i in range(5)]


def mmlu(kind):
    return [{"question": f"  {kind} {i}: which is \u00e9ven?\n ", "subject": "invented", "choices": [f"{i}1", " x ", "\"three\"", "4\n"], "answer": i % 4} for i in range(5)]


def hellaswag(kind):
    return [{"ind": i, "activity_label": ["Making  tea", "Roof shingle", "\u00c9lan", "Running [x]", "7"][i], "ctx_a": [" [header] How to boil [title] Fill", "A  man sits.", "She said \"go\".", "", "x"][i],
             "ctx_b": ["he Pours WATER", "the \u00dfound", "\u00e9tude", "", "[step] then"][i], "ctx": "unused", "endings": [f"is {i} [substeps] done  now. ", " [title] ends", "  two  spaces   here", "[] so"],
             "label": str(i % 4), "source_id": f"{kind}", "split": kind, "split_type": "x"} for i in range(5)]


def winogrande(kind):
    sentences = ["The cup did not fit in the box because _ was too wide.", "_ ran, so Bo_b did not.", "Ann thanked Eve; _   smiled. ", "It is the \"_\" we want", "Both saw _ there _ again."]
    return [{"sentence": f"{sentence}", "option1": "the cup", "option2": f"box {i}", "answer": str(1 + i % 2)} for i, sentence in enumerate(sentences)]


def math(kind):
    return [{"problem": f"Find $x$ with \\[x^{i} = \\frac{{1}}{{2}}\\] {{{{over}}}} the reals. ", "level": "Level 2", "type": "Algebra",
             "solution": f"Take roots: $x=\\boxed{{{i}}}$."} for i in range(5)]


def of_data_set(name, config, split):
    rows = {"allenai/ai2_arc": arc, "baber/piqa": piqa, "aps/super_glue": boolq, "truthfulqa/truthful_qa": truthfulqa, "openai/gsm8k": gsm8k,
            "openai/openai_humaneval": humaneval, "google/IFEval": ifeval, "SaylorTwift/bbh": functools.partial(bbh, config),
            "EleutherAI/hendrycks_math": math, "cais/mmlu": mmlu, "Rowan/hellaswag": hellaswag, "allenai/winogrande": winogrande, "HuggingFaceH4/MATH-500": math}
    return rows[name](split)


@unittest.skipUnless(HAS_REFERENCES, "lm_eval, datasets or pyarrow is not importable by this Python")
class BenchmarkTasks(RunCase):
    def setUp(self):
        super().setUp()
        for name in ("antlr4", "math_verify"):  # minerva_math's module asks for them where it is read; they only score
            if not importlib.util.find_spec(name):
                sys.modules[name] = types.ModuleType(name)
                sys.modules[name].parse = sys.modules[name].verify = None
                self.addCleanup(sys.modules.pop, name)

    def definition(self, name):
        """lm-eval's own, with the functions that make prompts; what scores answers is left out (it needs packages and the network)."""
        import lm_eval.tasks
        from lm_eval.tasks._yaml_loader import _import_fun_from_str, load_yaml
        folder = Path(lm_eval.tasks.__file__).parent
        path = DEFINITIONS.get(name, "bbh/cot_fewshot/" + name.removeprefix("bbh_cot_fewshot_") if name.startswith("bbh") else
                               f"mmlu/default/{name}" if name.startswith("mmlu") else f"minerva_math/{name}")
        config = load_yaml(folder / f"{path}.yaml", resolve_func=False)
        self.assertEqual(config["task"], name)
        unscored = {key: config.pop(key, None) for key in ("metric_list", "filter_list", "process_results")}
        version = importlib.metadata.version
        with mock.patch("importlib.metadata.version", lambda one: "4.11.0" if one.startswith("antlr4") else version(one)):
            for key in ("doc_to_text", "doc_to_target", "doc_to_choice", "process_docs"):
                if str(config.get(key)).startswith(str(folder)):
                    config[key] = _import_fun_from_str(config[key])
            samples = config.get("fewshot_config", {}).get("samples")
            if isinstance(samples, str):
                config["fewshot_config"]["samples"] = _import_fun_from_str(samples)
        return config, unscored

    def lm_eval_requests(self, config, count, splits):
        """Of each document its requests' arguments, as lm-eval builds them for these rows."""
        import datasets
        datasets.disable_progress_bars()
        from lm_eval.api.task import ConfigurableTask
        config = {**config, "dataset_path": None, "dataset_name": None, "num_fewshot": config.get("num_fewshot") or 0, "metadata": {},
                  "custom_dataset": lambda: datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in splits.items()})}
        if count is not None:
            config["num_fewshot"] = count
        task = ConfigurableTask(config=config)
        task.set_fewshot_seed(1234)
        task.build_all_requests()
        found = {}
        for instance in task.instances:
            context, second = instance.args
            found.setdefault(instance.doc_id, []).append((context, second if isinstance(second, str) else second["until"]))
        return [found[i] for i in sorted(found)]

    def proctor_requests(self, name):
        lines = [json.loads(line) for line in (self.root / f"run/samples/a/{name}.jsonl").read_text().splitlines()]
        documents = {line["doc_id"]: [(one["arg_0"], one["arg_1"] if isinstance(one["arg_1"], str) else one["arg_1"]["until"]) for one in line["arguments"].values()] for line in lines}
        return [documents[i] for i in sorted(documents)]

    def place(self, name, config, split, rows):
        """A split where `huggingface-cli download` leaves it."""
        import pyarrow
        import pyarrow.parquet
        folder = self.root / f"hub/datasets--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs/main").write_text("0123abcd")
        snapshot = folder / "snapshots/0123abcd"
        inside = snapshot / (f"{config}/{split}-00000-of-00001.parquet" if config else f"data/{split}-00000-of-00001.parquet")
        if name == "google/IFEval":
            inside = snapshot / "ifeval_input_data.jsonl"
        elif name == "HuggingFaceH4/MATH-500":
            inside = snapshot / "test.jsonl"
        inside.parent.mkdir(parents=True, exist_ok=True)
        if inside.suffix == ".jsonl":
            inside.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), inside)
        if config:
            self.headers.setdefault(snapshot, {}).setdefault(config, {})[split] = f"{config}/{split}-*"
            configs = [{"config_name": one, "data_files": [{"split": split, "path": path} for split, path in paths.items()]} for one, paths in self.headers[snapshot].items()]
            (snapshot / "README.md").write_text(f"---\nlicense: mit\nconfigs: {json.dumps(configs)}\n---\n# Rows of a test\n")
        return inside

    def test_prompts_and_continuations_are_lm_evals(self):
        import yaml
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)
        files = [path for path in sorted(TASKS.rglob("*.yaml")) if path.parent.name != "vision"]  # of lmms-eval: test_vision_tasks
        self.headers, tasks, entries, splits = {}, {}, [], {}
        self.assertGreater(len(files), 40)
        for path in files:
            task = yaml.safe_load(path.read_text())
            name, changes, splits[task["task"]] = task["task"], {}, {}
            for part, where in (task["data"] if isinstance(task["data"], dict) else {"test": task["data"]}).items():
                if "#" not in where:
                    continue
                repository, *config, split = where.split("#")
                rows = of_data_set(repository, "".join(config), split)
                splits[name][split] = rows
                placed = self.place(repository, "".join(config), split, rows)
                if placed.name == "ifeval_input_data.jsonl":  # no word of its path says which split it is
                    changes["data"] = str(placed)
            if task["type"] == "generate_until":
                changes["generation.max_gen_toks"] = 1
            if task["task"] in IN_PYTHON:
                changes["metrics"] = ["token_f1"]
            tasks[name] = (task, None, name)
            entries.append({"path": str(path), "set": changes})
            if name in MORE_EXAMPLES:
                tasks[f"{name}_more"] = (task, MORE_EXAMPLES[name], name)
                entries.append({"path": str(path), "name": f"{name}_more", "set": {**changes, "fewshot.count": MORE_EXAMPLES[name]}})
        self.write("suite.yaml", {"suite": "benchmarks", "modules": [{"name": "a", "path": "llama"}], "tasks": entries})
        self.run_suite("run", environment={"HF_HOME": str(self.root), "HF_DATASETS_CACHE": str(self.root / "none"), "HF_HUB_CACHE": "", "PROCTOR_PYTHON": sys.executable})
        versions = json.loads((self.root / "run/results/a.json").read_text())["versions"]
        for name, (task, count, of) in tasks.items():
            with self.subTest(task=name):
                self.assertEqual(versions[name], task["metadata"]["version"])
                config, scored = self.definition(of)
                expected = self.lm_eval_requests(config, count, splits[of])
                self.assertEqual(len(expected), 5)
                self.assertEqual(self.proctor_requests(name), expected)
                self.same_rules(task, config, scored, of)

    def same_rules(self, task, config, scored, name):
        """What the files say of versions, tokens, examples, filters and metrics."""
        self.assertEqual(task["metadata"], {"version": config["metadata"]["version"]})
        self.assertEqual(task.get("fewshot", {}).get("count", 0), config.get("num_fewshot") or 0)
        if task["type"] == "generate_until":
            self.assertEqual(task["generation"]["max_gen_toks"], config["generation_kwargs"].get("max_gen_toks", 256))
            self.assertFalse(config["generation_kwargs"]["do_sample"])
        for begin, metrics in OTHER_METRICS.items():
            if name.startswith(begin):
                return self.assertEqual(task["metrics"], metrics)
        self.assertEqual(task.get("filters"), scored["filter_list"])
        ours = {next(iter(one)): next(iter(one.values())) for one in (one if isinstance(one, dict) else {one: {}} for one in task["metrics"])}
        theirs = {one["metric"]: {key: value for key, value in one.items() if key not in ("metric", "aggregation", "higher_is_better")} for one in scored["metric_list"]}
        return self.assertEqual(ours, theirs)

    def test_families_are_what_their_tool_writes(self):
        done = subprocess.run([sys.executable, "-B", ROOT / "tools/task_families", "--check"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


if __name__ == "__main__":
    unittest.main()
