"""Requests to an OpenAI-compatible server: repeated where that helps, waited for where nobody answers, and never with a key in a message."""

from __future__ import annotations

import datetime
import email.utils
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from proctor.guest import BadRequest, EngineBroken, Module, Refused
from proctor.guest.errors import Missing

APIS = ("chat", "completions", "embeddings")
FIRST_PAUSE_S, MOST_PAUSE_S, MOST_KNOCK_S = 0.5, 30.0, 5.0  # between tries; between knocks at a server that does not answer
SHOWN_CHARACTERS = 300  # of a server's error
GONE = (502, 503, 504)
BUSY = (408, 409, 425, 429)
NOBODYS = (401, 402, 403, 404, 405)  # never one request's own fault


@dataclass(frozen=True)
class Settings:
    """A module's options."""

    base_url: str
    model: str
    api: str = "chat"
    max_concurrency: int = 8
    timeout_s: float = 600.0  # of one try
    retries: int = 8  # of one request, while the server answers
    wait_s: float = 600.0  # for a server that does not
    price: Mapping[str, float] = field(default_factory=dict)  # of a million tokens: input, output
    api_key_env: str = "OPENAI_API_KEY"  # the variable that holds the key
    prompts: Mapping[str, str] = field(default_factory=dict)  # by name, what stands before an embedded text
    extra: Mapping[str, Any] = field(default_factory=dict)  # goes into every request's body; null leaves a key out

    @classmethod
    def of(cls, module: Module) -> Settings:
        where, known = f"module {module.name}: options", {one.name: one for one in fields(cls)}
        if wrong := sorted(set(module.options) - set(known)):
            hint = "; a key is taken from the environment only" if "key" in wrong[0] else ""
            raise Refused(f"{where}: {wrong[0]} is not known; expected {', '.join(known)}{hint}")
        for name in ("base_url", "model"):
            if not isinstance(module.options.get(name), str) or not module.options[name]:
                raise Refused(f"{where}: {name} is missing")
        settings = cls(**module.options)
        settings._check(where)
        return settings

    def _check(self, where: str) -> None:
        url = urllib.parse.urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password or url.query or url.fragment:
            raise Refused(f"{where}: base_url: expected http(s)://HOST[:PORT]/PATH, without user, password or query")
        if self.api not in APIS:
            raise Refused(f"{where}: api: expected {', '.join(APIS)}, found {self.api!r}")
        for name, least in (("max_concurrency", 1), ("retries", 0), ("timeout_s", 0.001), ("wait_s", 0)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or value < least:
                raise Refused(f"{where}: {name}: expected a number of at least {least}, found {value!r}")
        if set(self.price) - {"input", "output"}:
            raise Refused(f"{where}: price: expected input and output, of a million tokens each")
        key = os.environ.get(self.api_key_env, "")
        if not key and self.api_key_env != "OPENAI_API_KEY":
            raise Missing(f"{where}: api_key_env: the variable {self.api_key_env} is not set")
        if not key.isascii() or not key.isprintable():
            raise Refused(f"{where}: api_key_env: what {self.api_key_env} holds is not a key")


class Busy(Exception):
    """The server refused for too long; the shard is tried again later."""


class Cancelled(Exception):
    """Another request of the unit ended it."""


@dataclass(frozen=True)
class Failure:
    text: str
    raised: type[Exception]  # at last
    is_final: bool = False
    is_gone: bool = False
    after_s: float = 0.0  # what the server asks to wait


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Endpoint:
    """Any thread may call post()."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.cancelled = settings, threading.Event()
        self.counters = {"requests": 0, "retries": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self._key, self._lock = os.environ.get(settings.api_key_env, ""), threading.Lock()
        own_host = urllib.parse.urlsplit(settings.base_url).hostname in ("localhost", "127.0.0.1", "::1")
        self._opener = urllib.request.build_opener(NoRedirect, *([urllib.request.ProxyHandler({})] if own_host else []))

    def models(self) -> None:
        """Says early that the server is not there or refuses the key; not every server can list its models."""
        try:
            self._asked("/models", None)
        except (BadRequest, Refused) as error:
            if any(f"HTTP {status}" in str(error) for status in (401, 402, 403)):
                raise

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        asked = {"model": self.settings.model, **body, **self.settings.extra}
        reply = self._asked(path, json.dumps({name: value for name, value in asked.items() if value is not None}).encode())
        usage = reply.get("usage") or {}
        self._count(requests=1, **{name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")})
        return reply

    def counted(self) -> dict[str, float]:
        with self._lock:
            counted: dict[str, float] = dict(self.counters)
        if price := self.settings.price:
            counted["price"] = (counted["prompt_tokens"] * price.get("input", 0) + counted["completion_tokens"] * price.get("output", 0)) / 1e6
        return counted

    def _asked(self, path: str, data: bytes | None) -> dict[str, Any]:
        cancelled, failures, tries, gone_since = self.cancelled, 0, 0, None
        while isinstance(reply := self._try(path, data), Failure):
            if reply.is_final:
                raise reply.raised(reply.text)
            gone_since = (gone_since or time.monotonic()) if reply.is_gone else None
            tries += not reply.is_gone
            if gone_since and time.monotonic() - gone_since > self.settings.wait_s:
                raise EngineBroken(f"{reply.text}; waited {self.settings.wait_s:g} s for it")
            if tries > self.settings.retries or reply.after_s > self.settings.wait_s:
                asks = f"; it asks to wait {reply.after_s:g} s" if reply.after_s else ""
                raise reply.raised(f"{reply.text}, after {failures + 1} tries{asks}")
            pause = min(FIRST_PAUSE_S * 2.0 ** min(failures, 16), MOST_KNOCK_S if reply.is_gone else MOST_PAUSE_S)
            failures += 1
            self._count(retries=1)
            if cancelled.wait(max(pause, reply.after_s)):
                raise Cancelled
        return reply

    def _try(self, path: str, data: bytes | None) -> dict[str, Any] | Failure:
        url = self.settings.base_url.rstrip("/") + path
        headers = {"Content-Type": "application/json", "User-Agent": "proctor", **({"Authorization": f"Bearer {self._key}"} if self._key else {})}
        try:
            with self._opener.open(urllib.request.Request(url, data, headers), timeout=self.settings.timeout_s) as reply:
                made = json.loads(reply.read())
                return made if isinstance(made, dict) else Failure(f"{url}: the reply is not a JSON object", BadRequest)
        except urllib.error.HTTPError as error:
            return self._refusal(url, error)
        except urllib.error.URLError as error:
            return Failure(f"{url}: {error.reason}", EngineBroken, is_gone=True)
        except TimeoutError:
            return Failure(f"{url}: no answer within {self.settings.timeout_s:g} s", BadRequest)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Failure(f"{url}: the answer broke off ({type(error).__name__})", BadRequest)

    def _refusal(self, url: str, error: urllib.error.HTTPError) -> Failure:
        status, said = error.code, ""
        try:
            content = error.read(1 << 16).decode(errors="replace")
            said = content
            told = json.loads(content)
            told = told.get("error", told.get("message", told.get("detail", told)))
            said = str(told.get("message", told) if isinstance(told, dict) else told)
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        said = " ".join((said.replace(self._key, "***") if self._key else said).split())[:SHOWN_CHARACTERS]
        text, after_s = f"{url}: HTTP {status}: {said}", seconds_of(error.headers.get("Retry-After"))
        if status in GONE:
            return Failure(text, EngineBroken, is_gone=True, after_s=after_s)
        if status in BUSY:
            return Failure(text, Busy, after_s=after_s)
        if status >= 500:
            return Failure(text, BadRequest, after_s=after_s)
        return Failure(text, Refused if status in NOBODYS or status < 400 else BadRequest, is_final=True)

    def _count(self, **numbers: int) -> None:
        with self._lock:
            for name, number in numbers.items():
                self.counters[name] += number


def seconds_of(retry_after: str | None) -> float:
    """Seconds, or a date."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(retry_after) - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
