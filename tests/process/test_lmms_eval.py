"""proctor.lmms_eval: prompts, rows and refusals; its model and command with a proctor that only notes how it was called; and a real run."""
import functools
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import types
import unittest
import zlib
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
FAKE_PACKAGE = ROOT / "tests/support/fake_lmms_eval"
sys.path[:0] = [str(ROOT / "python"), str(Path(__file__).parent)]
if importlib.util.find_spec("lmms_eval") is None:
    sys.path.append(str(FAKE_PACKAGE))
from proctor.lm_eval.run import BridgeError  # noqa: E402
from proctor.lmms_eval import refusals, rows  # noqa: E402
from proctor.lmms_eval.__main__ import with_model  # noqa: E402
from proctor.lmms_eval.images import ImageFolder, png  # noqa: E402
from proctor.lmms_eval.prompts import Prompts, image, interleaved, text  # noqa: E402
from test_lm_eval_bridge import FACTS, FakeProctorCase  # noqa: E402

LLAVA = {"placeholder": "<image>", "before": "", "after": ""}
QWEN = {"placeholder": "<|image_pad|>", "before": "<|vision_start|>", "after": "<|vision_end|>"}
PARTS = "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %};{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
VISION = ROOT / "configs/vision"
SHAPES = VISION / "shapes-llava"


class Picture:
    """What a bridge uses of PIL's images."""

    def __init__(self, pixels=b"\x01\x02\x03\x04\x05\x06", size=(2, 1)):
        self.pixels, self.size = pixels, size

    def convert(self, mode):
        assert mode == "RGB"
        return self

    def tobytes(self):
        return self.pixels


def user(*parts):
    return {"role": "user", "content": list(parts)}


class FolderCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="proctor-lmms-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()


class Images(FolderCase):
    def test_a_picture_is_written_without_loss(self):
        written = png(2, 2, bytes(range(12)))
        self.assertEqual(written[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">IIBBBBB", written[16:29]), (2, 2, 8, 2, 0, 0, 0))
        at = written.index(b"IDAT") + 4
        (size,) = struct.unpack(">I", written[at - 8:at - 4])
        self.assertEqual(zlib.decompress(written[at:at + size]), b"\0" + bytes(range(6)) + b"\0" + bytes(range(6, 12)))
        self.assertEqual(struct.unpack(">I", written[at + size:at + size + 4])[0], zlib.crc32(written[at - 4:at + size]))

    def test_a_picture_is_written_once_under_its_pixels(self):
        folder = ImageFolder(self.root / "images")
        first = folder.put(Picture())
        before = (self.root / "images" / first).stat().st_mtime_ns
        self.assertEqual([folder.put(Picture()), (self.root / "images" / first).stat().st_mtime_ns], [first, before])
        other = {folder.put(Picture(size=(1, 2))), folder.put(Picture(b"\0" * 6))}  # as many bytes of another shape; other pixels
        self.assertEqual({path.name for path in (self.root / "images").iterdir()}, {first, *other})
        self.assertEqual(len(other), 2)

    def test_what_is_no_picture_is_refused(self):
        with self.assertRaisesRegex(BridgeError, "dict: is no picture"):
            ImageFolder(self.root).put({"array": []})

    @unittest.skipUnless(importlib.util.find_spec("PIL"), "PIL is not importable by this Python")
    def test_a_file_is_read_upright(self):
        from PIL import Image

        turned = Image.new("RGB", (2, 1), (255, 0, 0))
        exif = turned.getexif()
        exif[274] = 6
        turned.save(self.root / "turned.png", exif=exif)
        folder = ImageFolder(self.root / "images")
        with Image.open(self.root / "images" / folder.put(str(self.root / "turned.png"))) as written:
            self.assertEqual((written.size, written.mode), ((1, 2), "RGB"))
        with self.assertRaisesRegex(BridgeError, "image /nowhere.png: "):
            folder.put("/nowhere.png")


class Places(unittest.TestCase):
    def test_pictures_go_where_a_text_marks_them(self):
        a, b = image("a"), image("b")
        for parts, placed in (([a, text("q")], [a, text("q")]), ([text("q <image>")], [text("q <image>")]), ([a, b, text("<image>, or <image>?")], [a, text(", or "), b, text("?")]),
                              ([a, b, text("Is <image 2> like <image 1>?"), text("<image 2>")], [text("Is "), b, text(" like "), a, text("?"), b]),
                              ([a, b, text("one <image>"), text("two <image>")], [text("one "), a, text("two "), b]), ([text("q"), a], [text("q"), a])):
            with self.subTest(parts):
                self.assertEqual(interleaved(parts), placed)

    def test_marks_that_fit_no_picture_are_refused(self):
        for parts, said in (([image("a"), text("<image> <image>")], "<image> 2 times, and its document 1 pictures"), ([image("a"), image("b"), text("<image>")], "<image> 1 times, and its document 2"),
                            ([image("a"), text("<image 2>")], "has <image 2>, and its document 1"), ([text("q"), image("a"), text("<image>")], "where do they belong")):
            with self.subTest(said), self.assertRaisesRegex(BridgeError, said):
                interleaved(parts)


class Contexts(FolderCase):
    def prompts(self, template=PARTS, vision=LLAVA, **more):
        (self.root / "chat_template.jinja").write_text(template)
        return Prompts(self.root, vision, **more)

    def test_the_models_template_writes_the_context_and_rows_mark_the_pictures(self):
        for placeholder, vision in (("<image>", LLAVA), ("<|vision_start|><|image_pad|><|vision_end|>", QWEN), ("<start_of_image>", {"placeholder": "<start_of_image>"})):
            prompts = self.prompts(PARTS.replace("IMAGE", placeholder), vision)
            self.assertEqual(prompts.context([user(image("a"), text("q"), image("b"))]), ("user: <image>q<image>;A:", ["a", "b"]))
        self.assertEqual(self.prompts(system="Be brief.").context([user(text("q"))]), ("system: Be brief.;user: q;A:", []))

    def test_a_processors_own_file_is_read_too(self):
        (self.root / "chat_template.json").write_text(json.dumps({"chat_template": "P " + PARTS}))
        self.assertEqual(Prompts(self.root, LLAVA).context([user(text("q"))])[0], "P user: q;A:")

    def test_without_a_template_the_text_stands_as_it_is(self):
        prompts = Prompts(self.root, QWEN, template=False)
        self.assertEqual(prompts.context([user(image("a"), text("q"))]), ("<image>q", ["a"]))
        with self.assertRaisesRegex(BridgeError, "several turns need a template"):
            prompts.context([{"role": "system", "content": "s"}, user(text("q"))])

    def test_what_cannot_be_written_is_refused_by_name(self):
        with self.assertRaisesRegex(BridgeError, "has no chat template.*chat_template=false"):
            Prompts(self.root, LLAVA)
        for template in ("{{ messages[0].content }}", "nothing"):
            with self.assertRaisesRegex(BridgeError, "is for plain texts"):
                self.prompts(template)
        with self.assertRaisesRegex(BridgeError, "reads no images"):
            self.prompts(vision={}).context([user(image("a"), text("q"))])
        with self.assertRaisesRegex(BridgeError, "0 places for 1 pictures"):
            self.prompts(PARTS.replace("IMAGE", "<|image_pad|>"), QWEN).context([user(image("a"), text("q"))])
        for kind in ("video", "audio"):
            with self.assertRaisesRegex(BridgeError, f"{kind}: proctor reads texts and images"):
                self.prompts().context([user({"type": kind, "url": "x.mp4"}, text("q"))])


class Rows(unittest.TestCase):
    def row(self, config=None, **kwargs):
        row = rows.generation_row("c", kwargs, 1024, config or {})
        self.assertEqual([row.pop(key) for key in ("type", "context")], ["generate_until", "c"])
        return row

    def test_greedy(self):
        greedy = {"until": [], "max_gen_toks": 16}
        usual = {"max_new_tokens": 16, "temperature": 0.0, "top_p": 1.0, "num_beams": 1, "do_sample": False, "until": ["\n\n"]}
        self.assertEqual(self.row(**usual), greedy)
        self.assertEqual(self.row(**{**usual, "until": ["\n\n", "", "ASSISTANT:"], "image_aspect_ratio": "pad", "top_k": None}), {**greedy, "until": ["ASSISTANT:"]})
        self.assertEqual(self.row(until=None), {"until": [], "max_gen_toks": 1024})
        self.assertEqual(self.row(until="x", max_gen_toks=3, repetition_penalty=1.2), {"until": ["x"], "max_gen_toks": 3, "repetition_penalty": 1.2})

    def test_a_temperature_draws_whatever_do_sample_says(self):
        self.assertEqual(self.row({"top_k": 20}, temperature=0.5, do_sample=False, top_p=0.9), {"until": [], "max_gen_toks": 1024, "temperature": 0.5, "top_k": 20, "top_p": 0.9})

    def test_what_proctor_cannot_do_is_refused_by_name(self):
        with self.assertRaisesRegex(BridgeError, "num_beams, stop_sequences: not implemented"):
            self.row(num_beams=4, stop_sequences=["x"])


def in_module(name, **values):
    made = types.ModuleType(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made


class Tasks(unittest.TestCase):
    judge = type("Server", (), {"__module__": "lmms_eval.llm_judge.base", "ask": lambda self: 1})()

    def task(self, kind="generate_until", scorer=None, metrics=(), aggregation=None):
        return SimpleNamespace(OUTPUT_TYPE=kind, config=SimpleNamespace(process_results=scorer), _metric_fn_list=dict.fromkeys(metrics), _aggregation_list={"m": aggregation})

    def refused(self, task, is_simple=False, allow_judge=False):
        return refusals.refusal(task, is_simple, allow_judge)

    def scorers(self, **values):
        """Functions of a file that has a judge: one asks it, one asks by another, one by an object's method, one never."""
        source = ("class Evaluator:\n    def score(self): return self.extract()\n    def extract(self): return server.ask()\n    def count(self): return 1\n"
                  "def asks(doc): return server.ask()\ndef through(doc): return [asks(one) for one in doc]\n"
                  "def by_object(doc): return evaluator.score()\ndef never(doc): return evaluator.count()\n")
        file = {"server": self.judge, "__name__": "utils"}
        exec(source, file)
        file["evaluator"] = file["Evaluator"]()
        return file

    def test_what_needs_more_than_answers_is_refused(self):
        self.assertEqual(self.refused(self.task()), "")
        for kind in ("generate_until_multi_round", "generate_until_agentic", "generate_visual_cot", "loglikelihood", "new_kind"):
            self.assertIn(f"{kind}: ", self.refused(self.task(kind)))
        self.assertIn("--force_simple", self.refused(self.task("multiple_choice")))
        self.assertEqual(self.refused(self.task("multiple_choice"), is_simple=True), "")
        self.assertIn("acc_mutual_info", self.refused(self.task("multiple_choice", metrics=["acc_mutual_info"]), is_simple=True))

    def test_a_judge_is_found_by_what_the_scorer_uses(self):
        file = self.scorers()
        for name, asks in (("asks", True), ("through", True), ("by_object", True), ("never", False)):
            with self.subTest(name):
                self.assertEqual(self.refused(self.task(scorer=file[name])) != "", asks)
                self.assertEqual(self.refused(self.task(aggregation=functools.partial(file[name], 1))) != "", asks)
        self.assertEqual(self.refused(self.task(scorer=file["asks"]), allow_judge=True), "")
        self.assertEqual(self.refused(self.task(scorer=file["asks"], metrics=["bypass"])), "")

    def test_all_refused_tasks_are_named_groups_of_them_too(self):
        tasks = {"good": self.task(), "group": {"a": self.task("generate_visual_cot"), "b": ("group", self.task("generate_until_agentic"))}}
        with self.assertRaisesRegex(BridgeError, "not run on proctor: a: generate_visual_cot.*; b: generate_until_agentic"):
            refusals.refuse(tasks, False, False)
        refusals.refuse({"good": self.task()}, False, False)


class Arguments(unittest.TestCase):
    def test_the_model_is_proctor_unless_another_is_named(self):
        self.assertEqual(with_model(["--tasks", "a"]), ["--tasks", "a", "--model", "proctor"])
        self.assertEqual(with_model(["eval", "--tasks", "a"])[-2:], ["--model", "proctor"])
        for untouched in ([], ["--help"], ["eval"], ["tasks", "list"], ["--model", "qwen2_5_vl", "--tasks", "a"], ["--model=dummy", "--tasks", "a"], ["--config", "x.yaml"]):
            self.assertEqual(with_model(untouched), untouched)

    def test_a_model_path_is_its_first_argument(self):
        for given, said in ((["--model-path", "m"], ["--model_args", "pretrained=m"]), (["--model-path=m", "--model_args", "dtype=x"], ["--model_args", "pretrained=m,dtype=x"]),
                            (["--model_args=dtype=x", "--model-path", "m"], ["--model_args=pretrained=m,dtype=x"])):
            self.assertEqual(with_model([*given, "--tasks", "a"]), [*(["--tasks", "a"] if len(given) == 2 else []), *said, *([] if len(given) == 2 else ["--tasks", "a"]), "--model", "proctor"])


class BridgeCase(FakeProctorCase):
    def setUp(self):
        super().setUp()
        self.script("proctor-worker", f"#!/bin/sh\n[ -d \"$2\" ] && echo '{json.dumps({**FACTS, 'vision': QWEN})}'\n")
        (self.root / "tiny/chat_template.jinja").write_text(PARTS.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"))

    def written(self):
        (directory,) = [one for one in self.directories() if one.name != "lmms-eval-images"]
        return directory, [json.loads(line) for line in (directory / "requests.jsonl").read_bytes().splitlines()]


class Model(BridgeCase):
    def model(self, kind="Chat", **more):
        from proctor.lmms_eval import model

        made = getattr(model, kind)(batch_size="1", **self.args(**more))
        made.task_dict["t"] = {"test": [{"q": "one?"}, {"q": "two?"}]}
        return made

    def ask(self, method, *arguments):
        return method([SimpleNamespace(args=one) for one in arguments])

    def test_messages_become_rows_and_answers_come_back_in_order(self):
        def doc_to_messages(doc):
            return [user(image(Picture()), text(doc["q"]))]

        kwargs = {"max_new_tokens": 4, "until": ["\n\n"]}
        answers = self.ask(self.model(max_pixels=1000, processor="slow").generate_until, *(("ctx", doc_to_messages, kwargs, number, "t", "test") for number in (0, 1)))
        self.assertEqual([one.text for one in answers], ["t\u20280", "t\u20281"])
        directory, written = self.written()
        self.assertRegex(directory.name, "^lmms-eval-[0-9a-f]{16}$")
        (name,) = written[0]["images"]
        self.assertEqual(written, [{"type": "generate_until", "context": f"user: <image>{q}?;A:", "until": [], "max_gen_toks": 4, "images": [name]} for q in ("one", "two")])
        self.assertTrue((directory / name).read_bytes().startswith(b"\x89PNG"))
        module = json.loads((directory / "suite.yaml").read_text())["modules"][0]
        self.assertEqual(module["image"], {"max_pixels": 1000, "processor": "slow"})

    def test_a_simple_models_visuals_stand_first_or_where_they_are_marked(self):
        model = self.model("Simple")
        arguments = [(context, {}, lambda doc: [Picture()], 0, "t", "test") for context in ("q?", "Is <image> it?")]
        self.ask(model.generate_until, *arguments, ("q?", {}, lambda doc: None, 0, "t", "test"))
        self.assertEqual([row["context"] for row in self.written()[1]], ["user: <image>q?;A:", "user: Is <image> it?;A:", "user: q?;A:"])

    def test_choices_are_losses_so_that_the_lowest_is_the_best(self):
        arguments = [("q?", choice, lambda doc: [Picture()], 0, "t", "test") for choice in (" a", " b")]
        self.assertEqual([one.text for one in self.ask(self.model("Simple").loglikelihood, *arguments)], [(0.5, True), (1.5, False)])
        self.assertEqual([(row["type"], row["context"], row["continuation"], len(row["images"])) for row in self.written()[1]],
                         [("loglikelihood", "user: <image>q?;A:", choice, 1) for choice in (" a", " b")])

    def test_videos_and_audio_are_refused_before_proctor_starts_with_the_document(self):
        for visual in ("x.mp4", {"array": [], "sampling_rate": 16000}):
            self.refused("t, test, document 1: ", "not video or audio", call=lambda: self.ask(self.model("Simple").generate_until, ("q", {}, lambda doc: [visual], 1, "t", "test")))
        self.refused("t, test, document 0: video", call=lambda: self.ask(self.model().generate_until, ("q", lambda doc: [user({"type": "video", "url": "x"})], {}, 0, "t", "test")))
        self.assertFalse((self.root / "calls.jsonl").exists())

    def test_wrong_arguments_are_refused_by_name(self):
        for args, said in (({"attn_implementation": "eager"}, "attn_implementation: not known"), ({"max_pixels": "many"}, "max_pixels: expected a whole number"),
                           ({"processor": "quick"}, "processor: expected auto, slow or fast"), ({"upright": "yes"}, "upright: expected true or false")):
            self.refused(said, call=lambda: self.model(**args))
        with mock.patch.dict(os.environ, {"WORLD_SIZE": "2"}):
            self.refused("proctor-lmms-eval was started many times", call=self.model)

    def test_a_system_prompt_may_be_a_file(self):
        (self.root / "system.txt").write_text("Be brief.\n")
        self.assertEqual(self.model(system_prompt=str(self.root / "system.txt")).prompts.system, "Be brief.")


class Command(BridgeCase):
    """python -m proctor.lmms_eval, with the fake lmms-eval."""

    def run_on(self, *documents):
        (self.root / "lines.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
        arguments = ["--model-path", str(self.root / "tiny"), "--model_args", f"proctor={self.root}/proctor,out={self.root}/runs", "--tasks", str(self.root / "lines.jsonl")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAKE_PACKAGE), str(ROOT / "python")])}
        return subprocess.run([sys.executable, "-B", "-m", "proctor.lmms_eval", *arguments], capture_output=True, text=True, env=environment, cwd=self.root)

    def test_results_say_with_which_settings_they_were_made(self):
        done = self.run_on({"text": "a?"}, {"text": "b?"})
        self.assertEqual(done.returncode, 0, done.stderr)
        results = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(results["answers"], ["t\u20280", "t\u20281"])
        self.assertEqual((results["proctor"]["model_hash"], results["proctor"]["vision"], results["proctor"]["settings"]["max_new_tokens"]), ("00ff", QWEN, 1024))

    def test_a_refused_task_and_a_failed_run_end_the_command_with_a_code(self):
        done = self.run_on({"text": "a?", "output_type": "generate_until_multi_round"})
        self.assertEqual((done.returncode, "proctor-lmms-eval: not run on proctor: lines: generate_until_multi_round" in done.stderr), (2, True), done.stderr)
        self.assertFalse((self.root / "calls.jsonl").exists())
        for code, given in ((75, 75), (4, 4)):
            self.behave(code=code)
            self.assertEqual(self.run_on({"text": "a?"}).returncode, given)

    def test_what_is_missing_is_said(self):
        done = subprocess.run([sys.executable, "-S", "-B", "-m", "proctor.lmms_eval", "--tasks", "a"], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "python")}, cwd=self.root)
        self.assertEqual((done.returncode, "the Python package lmms_eval is missing" in done.stderr), (1, True), done.stderr)


@unittest.skipUnless("PROCTOR_BIN" in os.environ, "PROCTOR_BIN names no built proctor")
@unittest.skipUnless(importlib.util.find_spec("PIL"), "PIL is not importable by this Python")
class RealProctor(FolderCase):
    def test_a_small_trained_model_answers_as_transformers(self):
        from PIL import Image
        from proctor.lmms_eval.model import Chat

        documents = [json.loads(line) for line in open(VISION / "questions.jsonl")]
        model = Chat(pretrained=str(SHAPES), dtype="float32", proctor=f"{os.environ['PROCTOR_BIN']}/proctor", out=str(self.root / "runs"), device="cpu", workers=1)
        model.task_dict["shapes"] = {"test": documents}

        def doc_to_messages(doc):
            return [user(image(Image.open(VISION / doc["image"]).convert("RGB")), text(doc["question"]))]

        asked = [SimpleNamespace(args=("", doc_to_messages, {"max_new_tokens": 16, "temperature": 0}, number, "shapes", "test")) for number in range(len(documents))]
        answers = [one.text for one in model.generate_until(asked)]
        self.assertEqual(answers, [one["transformers"] for one in documents])


if __name__ == "__main__":
    unittest.main()
