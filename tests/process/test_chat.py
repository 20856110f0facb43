"""Chat templates beside their references: transformers' rendering of random conversations, lm-eval's prompts of random tasks."""
import importlib.util
import json
import os
import random
import subprocess
import sys
import unittest
from pathlib import Path

from support import BIN, RunCase

HAS_REFERENCES = importlib.util.find_spec("lm_eval") is not None and importlib.util.find_spec("transformers") is not None
DATA = Path(os.environ.get("PROCTOR_TEST_DATA", "/nowhere"))

# In the manner of well-known families, written for this test.
TEMPLATES = {
    "chatml": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "chatml-default-system": "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}{%- for m in messages %}\n"
                             "    {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n{%- endif %}\n",
    "inst": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}"
            "{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
            "{% if m['role'] == 'user' %}{{ '[INST] ' }}{% if loop.first and system is defined %}{{ system + '\n\n' }}{% endif %}{{ m['content'].strip() + ' [/INST]' }}"
            "{% else %}{{ ' ' + m['content'].strip() + eos_token }}{% endif %}{% endfor %}",
    "headers": "{%- set date = strftime_now('%d %b %Y') %}{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}{# {{ date }} #}",
    "turns": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
             "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "thinking": "{%- for m in messages %}\n    {%- if m.role == 'assistant' %}\n        {%- set content = m.content.split('</think>')[-1].lstrip('\n') %}\n    {%- else %}\n        {%- set content = m.content %}\n    {%- endif %}\n"
                "    {{- '<|' ~ m.role ~ '|>' ~ content ~ eos_token }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|assistant|>' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n"
                "        {{- '<think>\n\n</think>\n\n' }}\n    {%- endif %}\n{%- endif %}",
    "tools": "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{% for m in messages %}{% generation %}{{ m | tojson }}{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% endif %}{{ ns.n }}:{{ m.content | replace('a', 'A') | upper if m.role == 'system' else m.content }}\n  {% endfor %}\n",
    "macro": "{%- macro turn(m) -%}\n<{{ m.role[0] }}>{{ m.content }}</{{ m.role[0] }}>\n{%- endmacro -%}\n{% for m in messages %}\n  {{ turn(m) }}\n{% endfor %}{{ '<a>' if add_generation_prompt }}",
}
TOKENS = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}
PIECES = ["what is it", "a\nb", "  x ", "\u00e9\u00df", "\u65e5\u672c", "\U0001f600", "<b>&\"'", "{{ x }}", "</think>\n\nyes", "\t", "1 + 1 = 2.", ""]


def text_of(rng):
    return " ".join(rng.choice(PIECES) for _ in range(rng.randint(1, 4))) or "x"


def conversation(rng):
    messages = [{"role": "system", "content": text_of(rng)}] if rng.random() < 0.3 else []
    for _ in range(rng.randint(0, 3)):
        messages += [{"role": "user", "content": text_of(rng)}, {"role": "assistant", "content": text_of(rng)}]
    item = {"messages": [*messages, {"role": "user", "content": text_of(rng)}], "add_generation_prompt": rng.random() < 0.7}
    if rng.random() < 0.3:
        item["messages"].append({"role": "assistant", "content": rng.choice(["So", "So ", "The answer:\n", "x"])})
        item.update(add_generation_prompt=False, continue_final_message=True)
    if rng.random() < 0.3:
        item["enable_thinking"] = rng.random() < 0.5
    if rng.random() < 0.2:
        item["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"a": [1, 2.5, None, "\u00e9<"]}}}]
    return item


class Render(RunCase):
    def render(self, folder, items, code=0):
        done = subprocess.run([BIN / "proctor", "render", folder], input="".join(json.dumps(item) + "\n" for item in items), capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr if code else [json.loads(line) for line in done.stdout.splitlines()]

    def template(self, name, text):
        folder = self.root / f"chat-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer_config.json").write_text(json.dumps({**TOKENS, "chat_template": text}))
        return folder

    @unittest.skipUnless(HAS_REFERENCES, "transformers is not here")
    def test_random_conversations_are_transformers(self):
        from transformers.utils.chat_template_utils import render_jinja_template
        seed = random.randrange(2**31)
        for name, text in TEMPLATES.items():
            with self.subTest(template=name, seed=seed):
                rng = random.Random(f"{seed} {name}")
                items, expected = [], []
                for _ in range(40):
                    item = conversation(rng)
                    more = {"bos_token": "<s>", "eos_token": "</s>", **{key: value for key, value in item.items() if key != "messages"}}
                    try:
                        rendered, _ = render_jinja_template(conversations=[item["messages"]], chat_template=text, **more)
                    except Exception:
                        continue
                    items.append(item)
                    expected.append(rendered[0])
                self.assertGreater(len(items), 8)
                self.assertEqual(self.render(self.template(name, text), items), expected)

    @unittest.skipUnless((DATA / "chat-templates/golden.jsonl").exists(), "golden renders are not here")
    def test_published_templates_render_as_recorded(self):
        cases = [json.loads(line) for line in (DATA / "chat-templates/golden.jsonl").read_text().splitlines()]
        for model in sorted({case["model"] for case in cases}):
            of_model = [case for case in cases if case["model"] == model]
            folder = self.root / model
            folder.mkdir()
            (folder / "chat_template.jinja").write_bytes((DATA / f"chat-templates/{model}.jinja").read_bytes())
            self.assertEqual(self.render(folder, [case["vars"] for case in of_model]), [case["rendered"] for case in of_model])

    def test_wrong_ones_are_refused_by_line_and_name(self):
        folder = self.template("c", TEMPLATES["chatml"])
        good = {"messages": [{"role": "user", "content": "x"}]}
        self.assertIn("line 2: ", self.render(folder, [good, {"messages": 3}], 5))
        self.assertIn("has no chat template 'tool'; there are default", self.render(folder, [{**good, "template": "tool"}], 5))
        self.assertIn("has no chat template (chat_template.jinja", self.render(self.root / "llama", [good], 5))
        self.assertIn("no such model folder", self.render(self.root / "nowhere", [good], 5))
        self.assertIn("exclude each other", self.render(folder, [{**good, "add_generation_prompt": True, "continue_final_message": True}], 5))


class ChatRuns(RunCase):
    def setUp(self):
        super().setUp()
        config = json.loads((self.root / "llama/tokenizer_config.json").read_text())
        (self.root / "llama/tokenizer_config.json").write_text(json.dumps({**config, "chat_template": TEMPLATES["chatml"].replace("<|im_start|>", "<s>").replace("<|im_end|>", "")}))

    def chat_suite(self, tasks, **module):
        self.write("suite.yaml", {"suite": "chat", "modules": [{"name": "a", "path": "llama", "chat_template": True, "max_length": 64, **module}], "tasks": tasks})

    def prompts(self, out, task):
        """Of each document its requests' arguments."""
        lines = [json.loads(line) for line in (self.root / out / f"samples/a/{task}.jsonl").read_text().splitlines()]
        return [[(parts["arg_0"], parts["arg_1"] if isinstance(parts["arg_1"], str) else None) for parts in line["arguments"].values()] for line in lines]

    def lm_eval_prompts(self, config, rows, system, multiturn):
        """Of lm-eval's own task over these rows, with transformers' rendering of the folder's template."""
        from lm_eval.api.task import ConfigurableTask
        from transformers import PreTrainedTokenizerFast
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(self.root / "llama"))
        (self.root / "rows").mkdir(exist_ok=True)
        (self.root / "rows/test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = ConfigurableTask(config={"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(self.root / "rows/test.jsonl")}, "cache_dir": str(self.root / "cache")},
                                        "test_split": "test", "fewshot_split": "test", **config})
        task.set_fewshot_seed(1234)

        def render(messages, add_generation_prompt=True):
            return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt, continue_final_message=not add_generation_prompt)
        found = []
        for document in task.test_docs():
            context = task.fewshot_context(document, task.config.num_fewshot, system, True, multiturn, render, gen_prefix=task.doc_to_prefix(document))
            requests = task.construct_requests(doc=document, ctx=context, metadata=(task.config.task, 0, 1), apply_chat_template=True)
            requests = requests if isinstance(requests, list) else [requests]
            found.append([(request.args[0], request.args[1] if isinstance(request.args[1], str) else None) for request in requests])
        return found

    @unittest.skipUnless(HAS_REFERENCES, "lm-eval is not here")
    def test_prompts_are_lm_evals(self):
        seed = random.randrange(2**31)
        for case in range(6):
            rng = random.Random(f"{seed} {case}")
            rows = [{"q": f"{text_of(rng)} {i}", "c": [f"{rng.choice('abc')} {j}" for j in range(3)], "gold": rng.randrange(3), "a": text_of(rng)} for i in range(8)]
            shots, multiturn, system = rng.choice([0, 1, 3]), rng.random() < 0.6, rng.choice([None, "Be brief.", "Be brief. "])
            prefix, description, delimiter = rng.choice([None, "So:", "So "]), rng.choice(["", "Answer.\n\n", "Answer."]), rng.choice([" ", "", "\n"])
            shared = {"description": description, "target_delimiter": delimiter}
            theirs = {"num_fewshot": shots, "doc_to_text": "{{q}}", **({"gen_prefix": prefix} if prefix else {}), **shared}
            ours = {"prompt": "{{q}}", "data": {"test": "rows.jsonl"}, "fewshot": {"count": shots, "as": "turns" if multiturn else "text"}, **({"gen_prefix": prefix} if prefix else {}), **shared}
            self.rows("rows", rows)
            self.write("mc.yaml", {"task": "mc", "type": "multiple_choice", "choices": "{{c}}", "answer": "{{gold}}", **ours})
            self.write("gen.yaml", {"task": "gen", "type": "generate_until", "target": "{{a}}", "generation": {"until": ["\n"], "max_gen_toks": 2}, **ours})
            self.chat_suite(["mc.yaml", "gen.yaml"], **({"system": system} if system else {}))
            with self.subTest(seed=seed, case=case, shots=shots, multiturn=multiturn, system=system, prefix=prefix, description=description, delimiter=delimiter):
                self.run_suite(f"run-{case}")
                self.assertEqual(self.prompts(f"run-{case}", "mc"),
                                 self.lm_eval_prompts({"task": "mc", "output_type": "multiple_choice", "doc_to_choice": "{{c}}", "doc_to_target": "{{gold}}", **theirs}, rows, system, multiturn))
                self.assertEqual(self.prompts(f"run-{case}", "gen"),
                                 self.lm_eval_prompts({"task": "gen", "output_type": "generate_until", "doc_to_target": "{{a}}", "generation_kwargs": {"until": ["\n"]}, **theirs}, rows, system, multiturn))

    def test_a_module_with_a_template_and_one_without_share_a_task(self):
        self.write("suite.yaml", {"suite": "chat", "modules": [{"name": "plain", "path": "llama"}, {"name": "a", "path": "llama", "chat_template": True, "system": "Be brief."}],
                                  "tasks": ["choice.yaml", "say.yaml", "roll.yaml"]})
        self.run_suite("one", workers=1)
        self.run_suite("two", ranks=2, workers=1)
        self.assertEqual(self.final_files("two"), self.final_files("one"))
        self.run_suite("alone", suite=self.plain_suite())
        self.assertEqual((self.root / "one/samples/plain/choice.jsonl").read_bytes(), (self.root / "alone/samples/plain/choice.jsonl").read_bytes())
        self.assertTrue(self.prompts("one", "choice")[0][0][0].startswith("<s>system\nBe brief.\n<s>user\n"))
        results = json.loads((self.root / "one/results/a.json").read_text())
        self.assertEqual((results["system_instruction"], results["fewshot_as_multiturn"]), ("Be brief.", True))
        self.assertIsNone(json.loads((self.root / "one/results/plain.json").read_text())["chat_template"])
        self.assertIn("chat_date", (self.root / "one/suite.yaml").read_text())
        self.run_suite("one")  # printed again: the day of its first start is kept

    def plain_suite(self):
        self.write("alone.yaml", {"suite": "alone", "modules": [{"name": "plain", "path": "llama"}], "tasks": ["choice.yaml"]})
        return "alone.yaml"

    def test_a_task_changes_what_its_module_says(self):
        self.write("say.yaml", {**json.loads((self.root / "say.yaml").read_text()), "chat": {"chat_template": False}})
        self.write("last.yaml", {**json.loads((self.root / "last.yaml").read_text()), "chat": {"system": "Other."}})
        self.chat_suite(["choice.yaml", "say.yaml", "last.yaml"], system="Be brief.")
        self.run_suite("run")
        self.assertNotIn("<s>", self.prompts("run", "say")[0][0][0])
        self.assertTrue(self.prompts("run", "last")[0][0][0].startswith("<s>system\nOther."))

    def test_what_a_template_does_wrong_is_said_before_anything_starts(self):
        for text, said in (("{% for %}", "TemplateSyntaxError"), ("{{ raise_exception('never') }}", "TemplateError: never"), ("{{ ''.__class__.__mro__ }}", "SecurityError")):
            (self.root / "llama/chat_template.jinja").write_text(text)
            self.chat_suite(["choice.yaml"])
            done = self.proctor("run", "suite.yaml", "--out", "bad", "--device", "cpu", "--workers", "1")
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertIn("llama", done.stderr)
            self.assertFalse((self.root / "bad").exists())
        done = self.proctor("run", "suite.yaml", "--out", "bad", "--device", "cpu", "--workers", "1", environment={"PROCTOR_PYTHON": sys.executable + "-nowhere"})
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("PROCTOR_PYTHON", done.stderr)


if __name__ == "__main__":
    unittest.main()
