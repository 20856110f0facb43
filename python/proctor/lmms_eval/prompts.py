"""From lmms-eval's messages to a row's context and pictures."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError

from proctor.chat_templates import Template, line_and_all
from proctor.lm_eval.run import BridgeError
from proctor.refused import Refused

Part = dict[str, Any]
Message = dict[str, Any]
MARK = re.compile(r"<image(?: (\d+))?>")  # what docs/requests.md says of a context
PROBE = "Is this written?"


def text(written: str) -> Part:
    return {"type": "text", "text": written}


def image(visual: Any) -> Part:
    return {"type": "image", "url": visual}


def parts_of(content: Any) -> list[Part]:
    """A message's content, in which a plain text is one part. Raises BridgeError where it holds more than texts and pictures."""
    parts = [text(content)] if isinstance(content, str) else list(content)
    for part in parts:
        if part["type"] not in ("text", "image"):
            raise BridgeError(f"{part['type']}: proctor reads texts and images; choose a task without it")
    return parts


def cut_at_marks(written: str, pictures: list[Part], used: int) -> tuple[list[Part], int]:
    """The text's parts with pictures at its marks, and how many unnumbered marks there have been."""
    parts, done = [], 0
    for mark in MARK.finditer(written):
        used += not mark[1]
        number = int(mark[1] or used)
        if not 1 <= number <= len(pictures):
            raise BridgeError(f"the text has {mark[0]}{'' if mark[1] else f' {used} times'}, and its document {len(pictures)} pictures: {written[:80]!r}")
        parts += [text(written[done:mark.start()]), pictures[number - 1]]
        done = mark.end()
    return [part for part in [*parts, text(written[done:])] if part.get("text") != ""], used


def interleaved(parts: list[Part]) -> list[Part]:
    """Pictures where `<image>` and `<image 2>` mark their places in texts; as they stand where nothing is marked."""
    pictures = [part for part in parts if part["type"] == "image"]
    if not pictures or not any(part["type"] == "text" and MARK.search(part["text"]) for part in parts):
        return parts
    if parts[:len(pictures)] != pictures:
        raise BridgeError("a text has <image> beside pictures that stand between texts: where do they belong?")
    placed, used = [], 0
    for part in parts[len(pictures):]:
        cut, used = cut_at_marks(part["text"], pictures, used)
        placed += cut
    if used and used != len(pictures) and used == sum(part["type"] == "image" for part in placed):
        raise BridgeError(f"a text has <image> {used} times, and its document {len(pictures)} pictures")
    return placed


class Prompts:
    """Writes contexts for one model. `vision`: of the model's facts, empty where it reads no pictures. `template`: true for the model's own,
    false for none, else a name or a .jinja file."""

    def __init__(self, folder: Path, vision: dict[str, Any], template: bool | str = True, system: str | None = None):
        self.folder, self.vision, self.system = folder, vision, system
        self.template = None if template is False else self._opened(template)

    def _opened(self, template: bool | str) -> Template:
        try:
            made = Template(self.folder, None if template is True else template, None)
            written = made.render({"messages": [{"role": "user", "content": [text(PROBE)]}], "add_generation_prompt": True})
        except (Refused, TemplateError) as error:
            raise BridgeError(f"{error}; chat_template=FILE.jinja names another, chat_template=false goes without") from error
        if PROBE not in written or "'type'" in written:
            raise BridgeError(f"{made.name}: is for plain texts, not for a list of texts and images; chat_template=FILE.jinja names another, "
                              "chat_template=false goes without")
        return made

    def context(self, messages: list[Message]) -> tuple[str, list[Any]]:
        """The text with `<image>` at each picture's place, and the pictures in that order."""
        chat = [{"role": one["role"], "content": interleaved(parts_of(one["content"]))} for one in messages]
        visuals = [part["url"] for one in chat for part in one["content"] if part["type"] == "image"]
        if visuals and not self.vision.get("placeholder"):
            raise BridgeError(f"{self.folder}: reads no images, and the task asks with some")
        if self.system and chat[0]["role"] != "system":
            chat.insert(0, {"role": "system", "content": [text(self.system)]})
        written = self._rendered(chat) if self.template else self._plain(chat)
        if visuals and len(MARK.findall(written)) != len(visuals):
            raise BridgeError(f"the prompt has {len(MARK.findall(written))} places for {len(visuals)} pictures: {written[:200]!r}")
        return written, visuals

    def _rendered(self, chat: list[Message]) -> str:
        """As a processor renders it, but for the pictures: a template writes the family's placeholder and what stands around it
        (Qwen: <|vision_start|><|image_pad|><|vision_end|>), and so does proctor wherever a row has <image>. What stays here would be
        there twice, so all of it becomes <image> again."""
        shown = [{**one, "content": [{"type": "image"} if part["type"] == "image" else part for part in one["content"]]} for one in chat]
        try:
            written = self.template.render({"messages": shown, "add_generation_prompt": True})
        except Refused as error:
            raise BridgeError(str(error)) from error
        except TemplateError as error:
            raise BridgeError(f"{self.template.name}: {line_and_all(error)}") from error
        placeholder = self.vision.get("placeholder", "")
        around = self.vision.get("before", "") + placeholder + self.vision.get("after", "")
        return written.replace(around, "<image>") if placeholder else written

    @staticmethod
    def _plain(chat: list[Message]) -> str:
        if len(chat) != 1:
            raise BridgeError("chat_template=false: a system prompt or several turns need a template")
        return "".join("<image>" if part["type"] == "image" else part["text"] for part in chat[0]["content"])
