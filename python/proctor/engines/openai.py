"""A server with OpenAI's API: chat, completions or embeddings (docs/engines.md). Nothing but the standard library."""

from __future__ import annotations

import base64
import concurrent.futures
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proctor.engines._endpoint import Endpoint, Settings
from proctor.guest import BadRequest, Engine, Image, Module, Refused, Request, Trace, Unit, serve
from proctor.guest.requests import Generate, Reasoning

KIND_OF = {"chat": "generator", "completions": "generator", "embeddings": "embedding"}
BEAT_S = 2.0
BLANKS = " \t\r\n\f\v"
IMAGE_TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp", b"BM": "bmp"}


class OpenAI(Engine):
    name = "openai"
    kinds = ["generator", "embedding"]
    answers = ["loglikelihood", "generate_until", "embed"]
    promises = []  # what computes there may change between two requests
    sources = ["_endpoint.py"]
    unit_requests = None
    same_ask = False
    endpoint: Any = None
    pool: Any = None
    limit = "max_tokens"  # what the server calls it

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        settings = Settings.of(module)
        if KIND_OF[settings.api] != module.kind:
            raise Refused(f"module {module.name}: api: {settings.api} answers for kind {KIND_OF[settings.api]}, not {module.kind}")
        if module.tensor_parallel != 1:
            raise Refused(f"module {module.name}: tensor_parallel: the server has its own devices")
        facts["kinds"] = [module.kind]

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        self.settings = Settings.of(module)
        self.endpoint = Endpoint(self.settings)
        self.pool = concurrent.futures.ThreadPoolExecutor(self.settings.max_concurrency)
        (made,) = self.gather(lambda _: self.endpoint.models(), [None], lambda _: announce("wait for the server"))
        if isinstance(made, Exception):
            raise made

    def close(self) -> None:
        if self.endpoint is not None:
            self.endpoint.cancelled.set()
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)
        self.endpoint = self.pool = None

    def run(self, requests: list[Request], unit: Unit) -> Sequence[Any]:
        try:
            if unit.type == "loglikelihood":
                return self.score_continuations(requests, unit.announce)
            return self.gather(self.write if unit.type == "generate_until" else self.embed, requests, unit.announce)
        finally:
            for name, number in self.endpoint.counted().items():
                self.claim(name, number)

    def gather(self, call: Callable[[Any], Any], items: Sequence[Any], announce: Callable[[str], None]) -> list[Any]:
        """Calls at once, as many as may be. Each has deadlines of its own (timeout_s, retries, wait_s), so a long wait is no hanging engine."""
        self.endpoint.cancelled = threading.Event()
        jobs = [self.pool.submit(call, item) for item in items]
        waiting, spoke = set(jobs), time.monotonic()
        try:
            while waiting:
                done, waiting = concurrent.futures.wait(waiting, BEAT_S, concurrent.futures.FIRST_COMPLETED)
                for job in done:
                    if (error := job.exception()) and not isinstance(error, BadRequest):
                        raise error
                if time.monotonic() - spoke >= BEAT_S:
                    spoke = time.monotonic()
                    announce(f"{len(jobs) - len(waiting)} of {len(jobs)} answered")
        except BaseException:
            self.endpoint.cancelled.set()
            for job in waiting:
                job.cancel()
            raise
        return [job.exception() or job.result() for job in jobs]

    # ---- texts

    def write(self, request: Request) -> Any:
        ask = request.ask
        assert isinstance(ask, Generate)
        is_chat = self.settings.api == "chat"
        reply = self.complete(request, self.asked(ask), is_chat)
        choice, made = understood(lambda: (reply["choices"][0], reply["choices"][0]["message" if is_chat else "text"]))
        if choice.get("finish_reason") == "content_filter":
            raise BadRequest("the server's content filter stopped the answer")
        thought = (made.get("reasoning_content") or made.get("reasoning") or "") if is_chat else ""
        text = (made.get("content") or "") if is_chat else made
        usage = reply.get("usage") or {}
        tokens = usage.get("completion_tokens") or len(text.split())  # words, of a server that does not count
        wanted = logprobs_of(choice, is_chat) if ask.logprobs else {}
        if ask.reasoning is None:
            return self.text(cut(text, ask.until), tokens, **wanted)
        spent = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
        text, trace = traced(text, thought, ask.reasoning, tokens, spent)
        begin = text.encode()[: trace.answer_at].decode()
        return self.text(begin + cut(text[len(begin) :], ask.until), tokens, trace=trace, **wanted)

    def complete(self, request: Request, body: dict[str, Any], is_chat: bool) -> Any:
        given = {"messages": [{"role": "user", "content": content_of(request)}]} if is_chat else {"prompt": request.text}
        path, most, limit = "/chat/completions" if is_chat else "/completions", body.pop("max_tokens"), self.limit
        try:
            return self.endpoint.post(path, {**body, **given, limit: most})
        except BadRequest as error:
            if limit != "max_tokens" or "max_completion_tokens" not in str(error):
                raise
        self.limit = "max_completion_tokens"  # OpenAI's own newer models know no other name
        return self.endpoint.post(path, {**body, **given, self.limit: most})

    def asked(self, ask: Generate) -> dict[str, Any]:
        """What OpenAI's API does not have goes under vLLM's names; a server that does not know them refuses the request."""
        if ask.reasoning and ask.reasoning.max_toks is not None:
            raise BadRequest("max_thinking_toks: a server's reasoning trace cannot be ended")
        body: dict[str, Any] = {"max_tokens": ask.max_gen_toks, "temperature": 0.0}
        if ask.until and not ask.reasoning:  # stops end the answer alone
            body["stop"] = [stop for stop in ask.until if stop]
        if ask.draw:
            body.update(temperature=ask.draw.temperature, top_p=ask.draw.top_p, seed=ask.draw.seed & ((1 << 63) - 1))
            body.update({name: value for name, value in (("top_k", ask.draw.top_k), ("min_p", ask.draw.min_p)) if value > 0})
        if ask.repetition_penalty not in (None, 1.0):
            body["repetition_penalty"] = ask.repetition_penalty
        if ask.logprobs:
            body.update(logprobs=True if self.settings.api == "chat" else 1, return_tokens_as_token_ids=True)
        if ask.logit_bias:
            body["logit_bias"] = {str(token): added for token, added in ask.logit_bias}
        for name in ("presence_penalty", "frequency_penalty", "min_tokens", "ignore_eos", "stop_token_ids"):
            if value := getattr(ask, name):
                body[name] = value
        return body

    # ---- log-likelihoods and vectors

    def score_continuations(self, requests: list[Request], announce: Callable[[str], None]) -> list[Any]:
        """A prompt's own log-probabilities, cut where the context alone ends, as lm-eval cuts them."""
        if self.settings.api != "completions":
            raise BadRequest(f"api: {self.settings.api} gives no log-probabilities of a text that it is given; completions may")
        contexts = sorted({request.context.rstrip() for request in requests} - {""})
        counted = self.gather(lambda text: self.echoed(text)["usage"]["prompt_tokens"], contexts, announce)
        lengths: dict[str, Any] = {"": 0, **dict(zip(contexts, counted, strict=True))}
        return self.gather(lambda request: self.scored(request, lengths[request.context.rstrip()]), requests, announce)

    def echoed(self, text: str, **more: Any) -> Any:
        return self.endpoint.post("/completions", {"prompt": text, "max_tokens": 1, "temperature": 0.0, **more})

    def scored(self, request: Request, before: Any) -> Any:
        if isinstance(before, Exception):
            raise before
        text = request.context + request.continuation
        reply = self.echoed(text, echo=True, logprobs=1)
        found, total = understood(lambda: (reply["choices"][0]["logprobs"], reply["usage"]["prompt_tokens"]))
        tokens, values, tops = ((found or {}).get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
        if min(len(values), len(tops)) < total:
            raise BadRequest("the server gives no log-probabilities of a prompt (echo with logprobs)")
        if before == 0 and text.startswith(tokens[0] or "\0"):
            raise BadRequest("an empty context: the server puts no token before a text, so its first has no probability")
        values, tops = values[max(1, before) : total], tops[max(1, before) : total]
        if not values:
            raise BadRequest("the continuation has no token of its own")
        return self.loglikelihood(sum(values), all(value >= max(top.values()) for value, top in zip(values, tops, strict=True)), len(values))

    def embed(self, request: Request) -> Any:
        prompts = self.settings.prompts
        before = next((prompts[name] for name in request.ask.prompts if name in prompts), "")  # type: ignore[union-attr]
        reply = self.endpoint.post("/embeddings", {"input": before + request.text, "encoding_format": "float"})
        vector = understood(lambda: reply["data"][0]["embedding"])
        return self.vector(vector, (reply.get("usage") or {}).get("prompt_tokens") or len(request.text.split()))


def understood(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (KeyError, IndexError, TypeError) as error:
        raise BadRequest(f"the server's reply is not understood ({type(error).__name__}: {error})") from error


def content_of(request: Request) -> Any:
    if not request.images:
        return request.text
    urls = [{"type": "image_url", "image_url": {"url": data_url(one)}} if isinstance(one, Image) else one for one in request.parts]
    return [{"type": "text", "text": one} if isinstance(one, str) else one for one in urls]


def data_url(image: Image) -> str:
    data = Path(image.path).read_bytes()
    kind = next((kind for begin, kind in IMAGE_TYPES.items() if data.startswith(begin)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def logprobs_of(choice: Any, is_chat: bool) -> dict[str, Any]:
    """Token ids, where the server knows how to tell them."""
    found = choice.get("logprobs") or {}
    if is_chat:
        entries = [(one.get("token"), one.get("logprob")) for one in found.get("content") or []]
    else:
        entries = list(zip(found.get("tokens") or [], found.get("token_logprobs") or [], strict=False))
    if not entries or not all(str(token).startswith("token_id:") for token, _ in entries):
        raise BadRequest("logprobs: the server does not tell the ids of its tokens")
    return {"token_ids": [int(token.removeprefix("token_id:")) for token, _ in entries], "logprobs": [value for _, value in entries]}


def traced(text: str, thought: str, asked: Reasoning, tokens: int, spent: int | None) -> tuple[str, Trace]:
    """The text with its trace in front, as the model wrote it; what a server does not count are words."""
    if thought:
        text = f"{asked.start}{thought}{asked.end}{text}" if text else f"{asked.start}{thought}"
    at = text.rfind(asked.end)
    if at < 0:
        is_open = asked.opened or text.lstrip(BLANKS).startswith(asked.start)
        return text, Trace("none", tokens, len(text.encode())) if is_open else Trace("own")
    behind = text[at + len(asked.end) :].lstrip(BLANKS)
    return text, Trace("own", spent or len(text[:at].split()), len(text.encode()) - len(behind.encode()))


def cut(text: str, stops: Sequence[str]) -> str:
    for stop in filter(None, stops):
        text = text.split(stop)[0]
    return text


if __name__ == "__main__":
    serve(OpenAI)
