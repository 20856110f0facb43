"""Chat templates for the sidecar: {"open": FOLDER, "template": null | NAME | FILE.jinja, "date": null | "YYYY-MM-DD"} makes a template the
present one and gives {"template": its text, "reasoning": [start, end] | null}; {"render": [{"messages": [...], ...variables}, ...]} gives {"texts": [...], "without_system": how many}.

Templates run as transformers 4.57 runs them (utils/chat_template_utils.py), in jinja2's sandbox.
"""

from __future__ import annotations

import datetime
import functools
import json
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from proctor.refused import Refused, told

Json = dict[str, Any]
# transformers' SpecialTokensMixin.SPECIAL_TOKENS_ATTRIBUTES: what a template may name.
TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "additional_special_tokens")

# The texts that published models put around their reasoning.
REASONING = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|START_THINKING|>", "<|END_THINKING|>"), ("<seed:think>", "</seed:think>"), ("<thinking>", "</thinking>"),
             ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"))


PROBE = "Is this written?"


def as_list(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: what it holds, as it stands (transformers counts tokens by it, for training)."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_as_it_is"), [], [], body).set_lineno(line)

    def _as_it_is(self, caller: jinja2.runtime.Macro) -> str:
        return str(caller())


def line_and_all(error: BaseException) -> str:
    line = getattr(error, "lineno", None)
    return told(error) + (f" (line {line} of the template)" if line else "")


def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: tuple[str, str] | None = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment(now: datetime.datetime) -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = now.strftime
    return made


def read_json(path: Path) -> Json:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error
    return value if isinstance(value, dict) else {}


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error


def content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def special_tokens(folder: Path) -> Json:
    """By name, those that are there: tokenizer_config.json's; special_tokens_map.json's where it has no added_tokens_decoder."""
    config = read_json(folder / "tokenizer_config.json")
    found = {name: config.get(name) for name in TOKENS}
    if "added_tokens_decoder" not in config:
        found.update({name: token for name, token in read_json(folder / "special_tokens_map.json").items() if name in TOKENS})
    tokens = {name: [content(one) for one in token] if isinstance(token, list) else content(token) for name, token in found.items()}
    return {name: token for name, token in tokens.items() if token}


def templates_of(folder: Path) -> dict[str, str]:
    """By name; the folder's own is "default". Files win over tokenizer_config.json: chat_template.jinja, then chat_template.json, which is also
    "processor": the one that processors of image-text models were saved with before transformers 4.53."""
    found: dict[str, str] = {}
    written = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(written, str):
        found["default"] = written
    elif isinstance(written, list):
        found.update({one["name"]: one["template"] for one in written if isinstance(one, dict) and "name" in one and "template" in one})
    elif isinstance(written, dict):
        found.update({name: text for name, text in written.items() if isinstance(text, str)})
    of_processor = read_json(folder / "chat_template.json").get("chat_template")
    if isinstance(of_processor, str):
        found["default"] = found["processor"] = of_processor
    if (folder / "chat_template.jinja").is_file():
        found["default"] = read_text(folder / "chat_template.jinja")
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        found[path.stem] = read_text(path)
    return found


def added_tokens(folder: Path) -> set[str]:
    listed = read_json(folder / "tokenizer.json").get("added_tokens")
    by_id = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
    tokens = [*(listed if isinstance(listed, list) else []), *(by_id.values() if isinstance(by_id, dict) else [])]
    return {token["content"] for token in tokens if isinstance(token, dict) and isinstance(token.get("content"), str)}


def reasoning_tags(text: str, folder: Path) -> list[str] | None:
    """Those that the template writes or looks for, else those that the tokenizer has as tokens."""
    there = added_tokens(folder)
    for known in (lambda tag: tag in text, lambda tag: tag in there):
        for start, end in REASONING:
            if known(end) and (known(start) or start in there):
                return [start, end]
    return None


class Template:
    def __init__(self, folder: Path, chosen: str | None, date: str | None):
        now = datetime.datetime.strptime(date, "%Y-%m-%d") if date else datetime.datetime.now()
        if chosen and chosen.endswith(".jinja"):
            self.name, self.text = chosen, read_text(Path(chosen))
        else:
            self.name, self.text = self.chosen(folder, chosen)
        self.tokens = special_tokens(folder)
        try:
            self.compiled = environment(now).from_string(self.text)
        except jinja2.exceptions.TemplateError as error:
            raise Refused(f"{self.name}: {line_and_all(error)}") from error

    @functools.cached_property
    def takes_lists_only(self) -> bool:
        return not self.writes(PROBE) and self.writes(as_list(PROBE))

    def writes(self, written: Any) -> bool:
        """Whether a message whose content has this form is in what the template makes; many for images loop over parts, and pass by a plain text."""
        try:
            return PROBE in str(self.compiled.render(messages=[{"role": "user", "content": written}], **self.tokens, tools=None, documents=None, add_generation_prompt=False))
        except Exception:  # a template is code; whoever renders says what is wrong
            return False

    @staticmethod
    def chosen(folder: Path, chosen: str | None) -> tuple[str, str]:
        there = templates_of(folder)
        if not there:
            raise Refused(f"{folder}: has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json); give chat_template a .jinja file, or leave it out")
        name = chosen or "default"
        if name not in there:
            raise Refused(f"{folder}: has no chat template '{name}'; there are {', '.join(sorted(there))}: name one by chat_template")
        return f"{folder}: chat template '{name}'", there[name]

    def render(self, item: Json) -> str:
        if item.get("continue_final_message") and item.get("add_generation_prompt"):
            raise Refused("continue_final_message and add_generation_prompt exclude each other")
        variables = {**self.tokens, "tools": None, "documents": None, "add_generation_prompt": False, **item}
        messages = [dict(message) for message in variables.pop("messages")]
        end = variables.pop("continue_final_message", False)
        if not end:
            return self.written(messages, variables)
        return continued(self, messages, variables)

    def written(self, messages: list[Json], variables: Json) -> str:
        shaped = [{**message, "content": as_list(message["content"])} if self.takes_lists_only and isinstance(message.get("content"), str) else message for message in messages]
        return str(self.compiled.render(messages=shaped, **variables))


def continued(template: Template, messages: list[Json], variables: Json) -> str:
    """Up to the end of the last message, found by a tag behind it."""
    tag = "CONTINUE_FINAL_MESSAGE_TAG "
    if not messages:
        raise Refused("continue_final_message: there are no messages")
    text = messages[-1].get("content")
    if not isinstance(text, str):
        raise Refused("continue_final_message: the last message holds no text")
    messages[-1]["content"] = text + tag
    rendered = template.written(messages, variables)
    if tag.strip() not in rendered or text.strip() not in rendered:
        raise Refused("continue_final_message: the template does not write the last message")
    at = rendered.rindex(tag.strip())
    if rendered[at:at + len(tag)] == tag:
        return rendered[:at]
    return rendered[:at].rstrip()


class Service:
    def __init__(self) -> None:
        self.template: Template | None = None
        self.subject = "the template"

    def answer(self, request: Json) -> Json:
        if "open" in request:
            self.template = Template(Path(request["open"]), request.get("template"), request.get("date"))
            self.subject = self.template.name
            return {"template": self.template.text, "reasoning": reasoning_tags(self.template.text, Path(request["open"]))}
        if self.template is None:
            raise Refused("no template is open")
        texts, without = [], 0
        for number, item in enumerate(request["render"]):
            try:
                texts.append(self.one(self.template, item))
            except jinja2.exceptions.TemplateError as error:
                less = [message for message in item["messages"] if message.get("role") != "system"]
                if not request.get("drop_system") or len(less) == len(item["messages"]):
                    raise Refused(f"{self.template.name}: conversation {number + 1}: {line_and_all(error)}") from error
                texts.append(self.one(self.template, {**item, "messages": less}))
                without += 1
        return {"texts": texts, "without_system": without}

    @staticmethod
    def one(template: Template, item: Json) -> str:
        try:
            return template.render(item)
        except (jinja2.exceptions.TemplateError, Refused, MemoryError, RecursionError):
            raise
        except Exception as error:  # a template is code: whatever it does is its own fault
            raise Refused(f"{template.name}: {line_and_all(error)}") from error
