"""Models that reason before they answer, scripted: traces that end, that never end, that end at a budget, that a template opens."""
import json
import unittest

from support import RunCase, tiny_models

ASK = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}:{% endif %}"
OPENS = ASK + "{% if add_generation_prompt and enable_thinking is not defined %}<think>{% endif %}"
SCRIPT = {":": "<think>", "<think>": "a", "a": "b", "b": "</think>", "</think>": "\n", "\n": "4", "4": "2", "2": "</s>"}


class Thinking(RunCase):
    def setUp(self):
        super().setUp()
        for name, changes in (("ends", {}), ("endless", {"b": "a"}), ("blunt", {":": "4"})):
            tiny_models.write_scripted(self.root / name, {**SCRIPT, **changes}, ("<think>", "</think>"))
            (self.root / name / "chat_template.jinja").write_text(ASK)
        self.rows("ask", [{"q": f"what is {i}", "a": "42", "c": ["4", "5"], "gold": 0} for i in range(5)])
        self.task("ask", {})
        self.task("budget", {"max_thinking_toks": 6})

    def task(self, name, generation):
        self.write(f"{name}.yaml", {"task": name, "type": "generate_until", "data": {"test": "ask.jsonl"}, "prompt": "{{q}}", "target": "{{a}}",
                                    "generation": {"until": ["b", "!"], "max_gen_toks": 20, **generation}})

    def think(self, out, modules, tasks=("ask.yaml", "budget.yaml"), code=0, **more):
        self.write("suite.yaml", {"suite": "thinking", "modules": [{"chat_template": True, **module} for module in modules], "tasks": list(tasks)})
        return self.run_suite(out, code=code, **more)

    def answers(self, out, module, task):
        """(the whole text, what counts, exact_match) of the first document, and the results."""
        line = json.loads((self.root / f"{out}/samples/{module}/{task}.jsonl").read_text().splitlines()[0])
        return (line["resps"][0][0], line["filtered_resps"][0], line["exact_match"]), line, json.loads((self.root / f"{out}/results/{module}.json").read_text())

    def test_traces_are_cut_before_anything_counts(self):
        modules = [{"name": name, "path": name} for name in ("ends", "endless", "blunt")]
        done = self.think("run", modules)
        for task in ("ask", "budget"):
            got, line, results = self.answers("run", "ends", task)
            self.assertEqual(got, ("<think>ab</think>\n42", "42", 1.0))
            self.assertEqual((line["reasoning_tokens"], line["answer_tokens"]), ([4], [4]))  # "\n", "4", "2" and the end
            self.assertEqual(results["n-samples"][task]["unfinished_reasoning"], 0)
            self.assertEqual(self.answers("run", "blunt", task)[0], ("42", "42", 1.0))
        got, line, results = self.answers("run", "endless", "ask")
        self.assertEqual(got, ("<think>" + "ab" * 9 + "a", "", 0.0))
        self.assertEqual(line["unfinished_reasoning"], 1)
        self.assertEqual(results["n-samples"]["ask"]["unfinished_reasoning"], 5)
        self.assertEqual(results["reasoning"]["ask"], {"unfinished": 5, "ended_at_budget": 0, "reasoning_tokens": {"mean": 20.0, "p95": 20}, "answer_tokens": {"mean": 0.0, "p95": 0}})
        self.assertIn("ask: reasoning of 20 tokens (95 %: 20), answers of 0 (0); 5 traces never ended", done.stdout)
        got, line, results = self.answers("run", "endless", "budget")
        self.assertEqual(got, ("<think>ababa</think>\n42", "42", 1.0))
        self.assertEqual(results["reasoning"]["budget"]["ended_at_budget"], 5)
        self.assertIn("5 traces ended at max_thinking_toks", done.stdout)
        self.assertIn("tokens of reasoning [20], of the answer [0]; unfinished", self.proctor("show", "run", "--samples", "ask", "--module", "endless").stdout)
        self.think("two", modules, workers=2)
        self.assertEqual(self.final_files("two"), self.final_files("run"))

    def test_what_is_not_looked_for_is_text(self):
        self.think("none", [{"name": "ends", "path": "ends", "reasoning": "none"}], tasks=["ask.yaml"])
        self.assertEqual(self.answers("none", "ends", "ask")[0], ("<think>a", "<think>a", 0.0), "the stop string counts")
        self.write("plain.yaml", {"suite": "plain", "modules": [{"name": "ends", "path": "ends", "reasoning": {"start": "<think>", "end": "</think>"}}],
                                  "tasks": [{"path": "ask.yaml", "set": {"prompt": "{{q}}:"}}]})
        self.run_suite("plain", suite="plain.yaml")
        self.assertEqual(self.answers("plain", "ends", "ask")[0], ("<think>ab</think>\n42", "42", 1.0), "named, without a template")

    def test_special_tags_are_seen_and_kept(self):
        tiny_models.write_scripted(self.root / "special", SCRIPT, ("<think>", "</think>"), special=True)
        (self.root / "special/chat_template.jinja").write_text(ASK)
        self.think("run", [{"name": "special", "path": "special"}], tasks=["ask.yaml"])
        self.assertEqual(self.answers("run", "special", "ask")[0], ("<think>ab</think>\n42", "42", 1.0), "known from the tokenizer")

    def test_a_template_that_opens_the_trace(self):
        (self.root / "ends/chat_template.jinja").write_text(OPENS)
        self.think("run", [{"name": "ends", "path": "ends"}], tasks=["ask.yaml"])
        got, line, _ = self.answers("run", "ends", "ask")
        self.assertEqual(got, ("ab</think>\n42", "42", 1.0))
        self.assertEqual(line["reasoning_tokens"], [3])
        self.write("choose.yaml", {"task": "choose", "type": "multiple_choice", "data": {"test": "ask.jsonl"}, "prompt": "{{q}}", "choices": "{{c}}", "answer": "{{gold}}"})
        done = self.think("choose", [{"name": "ends", "path": "ends"}], tasks=["choose.yaml"], code=2)
        self.assertIn("task choose: the chat template opens a reasoning trace (<think>) where the answer would stand", done.stderr)
        self.think("choose", [{"name": "ends", "path": "ends", "chat_template_kwargs": {"enable_thinking": False}}], tasks=["choose.yaml"])
        self.think("choose-none", [{"name": "ends", "path": "ends", "reasoning": "none"}], tasks=["choose.yaml"])

    def test_wrong_keys_are_refused(self):
        for generation, said in (({"max_thinking_toks": 20}, "leaves no token of max_gen_toks"), ({"min_p": 0.1}, "min_p: has no effect without a temperature"),
                                 ({"presence_penalty": 3}, "expected -2 to 2"), ({"min_tokens": 21}, "is more than max_gen_toks"), ({"logit_bias": [1]}, "expected a map"),
                                 ({"logit_bias": {"x": 1}}, "expected token id: number, found 'x: 1'"), ({"logit_bias": {"5": 101}}, "from -100 to 100"),
                                 ({"stop_token_ids": "x"}, "expected a list of token ids"), ({"stop_token_ids": [-1]}, "expected token ids, found -1")):
            self.task("ask", generation)
            self.assertIn(said, self.think("bad", [{"name": "ends", "path": "ends"}], tasks=["ask.yaml"], code=2).stderr)
        self.task("ask", {})
        self.assertIn("two different texts", self.think("bad", [{"name": "ends", "path": "ends", "reasoning": {"start": "x", "end": "x"}}], code=2).stderr)
        self.assertIn("expected auto, none, or", self.think("bad", [{"name": "ends", "path": "ends", "reasoning": "yes"}], code=2).stderr)


class Sampling(RunCase):
    """What vLLM's users set, on a model whose next token is known."""
    def setUp(self):
        super().setUp()
        tiny_models.write_scripted(self.root / "chain", {":": "a", "a": "b", "b": "c", "c": "d", "d": "</s>", "e": "e"})

    def text(self, **generation):
        self.rows("ask", [{"type": "generate_until", "context": ":", "max_gen_toks": 8, **generation}])
        self.write("ask.yaml", {"task": "ask", "type": "requests", "data": "ask.jsonl"})
        self.write("suite.yaml", {"suite": "s", "modules": [{"name": "chain", "path": "chain"}], "tasks": ["ask.yaml"]})
        self.run_suite("run", "--fresh")
        return json.loads((self.root / "run/responses/chain/ask.jsonl").read_text())["text"]

    def test_each_does_what_it_says(self):
        self.assertEqual(self.text(), "abcd")
        self.assertEqual(self.text(stop_token_ids=[ord("c")]), "ab", "left out of the text")
        self.assertEqual(self.text(min_tokens=4, stop_token_ids=[ord("b")])[:1], "a")
        self.assertEqual(len(self.text(min_tokens=8, until=["b"])), 1, "stops cut the text, later")
        self.assertTrue(self.text(logit_bias={str(ord("e")): 100}).startswith("eeee"))
        self.assertEqual(self.text(logit_bias={str(ord("b")): -100})[:1], "a")
        self.assertNotIn("b", self.text(logit_bias={str(ord("b")): -100}))
        self.assertEqual(len(self.text(ignore_eos=True).encode()), 8 - 1, "eight tokens, one of them the end, which has no text")
        tiny_models.write_scripted(self.root / "chain", {":": "e", "e": "e"})
        self.assertEqual(self.text(), "e" * 8)
        bias = {str(ord("e")): -12}  # its logit, 16.2 (the root of 264), becomes 4.2; all others are 0
        self.assertEqual(self.text(logit_bias=bias), "e" * 8)
        self.assertEqual(self.text(logit_bias=bias, frequency_penalty=2)[:4], "eee\0", "after three of them 4.2 - 6 is below the others")
        self.assertEqual(self.text(logit_bias=bias, presence_penalty=2), "e" * 8)
        self.assertEqual(self.text(logit_bias={str(ord("e")): -15}, presence_penalty=2)[:2], "e\0")
        self.assertEqual(self.text(temperature=100, min_p=0.9), "e" * 8, "all others are less likely than 0.9 times it")
        self.assertNotEqual(self.text(temperature=100), "e" * 8)


if __name__ == "__main__":
    unittest.main()
