#!/usr/bin/env python3
"""proctor.engines.openai against a server that fails as it is told, is killed and comes back; and, where a real one is named, against that.

    PROCTOR_OPENAI_URL=http://127.0.0.1:8000/v1 PROCTOR_OPENAI_MODEL=NAME test_engine_openai.py RealServer
"""

import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(Path(__file__).parent)]
from proctor.engines import _endpoint, openai  # noqa: E402
from proctor.guest import BadRequest, EngineBroken, Refused  # noqa: E402
from proctor.guest.errors import Missing  # noqa: E402
from proctor.guest.module import Module  # noqa: E402
from proctor.guest.requests import request_from  # noqa: E402

DEADLINE_S = 120.0  # of every wait; no test waits for it to pass
KEY = "sk-of-a-test-0123456789"
PROGRAM = [sys.executable, "-B", "-m", "proctor.engines.openai"]


class Server:
    """Answers each request by the next of `script`, or well where that is empty: a number is a status, a pair has headers too, "drop" hangs up."""

    def __init__(self):
        self.script, self.asked, self.answered, self.lock, self.port, self.http = [], [], [], threading.Lock(), 0, None
        self.said = "scripted"
        self.start()

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.reply(self, 200, {"data": [{"id": "m"}]})

            def do_POST(self):
                owner.handle(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def handle(self, handler, body):
        with self.lock:
            self.asked.append((handler.path, body, dict(handler.headers), time.monotonic()))
            step = self.script.pop(0) if self.script else 200
        if callable(step):
            step = step(body)
        if step == "drop":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        elif isinstance(step, dict):
            self.reply(handler, 200, step)
        elif step == 200:
            self.answered.append(body)
            self.reply(handler, 200, self.answer(handler.path, body))
        else:
            status, headers = step if isinstance(step, tuple) else (step, {})
            self.reply(handler, status, {"error": {"message": f"{self.said}, {handler.headers.get('Authorization')}"}}, headers)

    def answer(self, path, body):
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        if path == "/v1/embeddings":
            return {"data": [{"embedding": [0.5, float(len(body["input"]))]}], "usage": {"prompt_tokens": 2}}
        if path == "/v1/chat/completions":
            return {"choices": [{"message": {"content": "to " + str(body["messages"][0]["content"])}, "finish_reason": "stop"}], "usage": usage}
        if not body.get("echo"):
            tokens = ["<s>", *letters(body["prompt"])]
            return {"choices": [{"text": "to " + body["prompt"], "finish_reason": "stop"}], "usage": {**usage, "prompt_tokens": len(tokens)}}
        tokens = ["<s>", *letters(body["prompt"])]  # a token a letter; "e" is the likeliest everywhere
        values = [None, *(-0.25 if one == "e" else -1.0 for one in tokens[1:]), -0.25]
        tops = [None, *({"e": -0.25, one: value} for one, value in zip(tokens[1:], values[1:], strict=False)), {"e": -0.25}]
        logprobs = {"tokens": [*tokens, "e"], "token_logprobs": values, "top_logprobs": tops}
        return {"choices": [{"text": body["prompt"] + "e", "logprobs": logprobs}], "usage": {**usage, "prompt_tokens": len(tokens)}}

    @staticmethod
    def reply(handler, status, body, headers=None):
        content = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


def letters(text):
    return list(text)


def generation(text, index=0, **ask):
    return request_from(index, {"parts": [text], "ask": {"type": "generate_until", "until": [], "max_gen_toks": 8, **ask}})


def pair(context, continuation):
    return request_from(0, {"parts": [context, continuation], "ask": {"type": "loglikelihood"}})


class ServerCase(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)
        for name, value in (("FIRST_PAUSE_S", 0.01), ("MOST_KNOCK_S", 0.02)):
            patch = mock.patch.object(_endpoint, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(openai, "BEAT_S", 0.02)
        patch.start()
        self.addCleanup(patch.stop)
        self.announced, self.on_announce = [], None

    def module(self, kind="generator", **options):
        given = {"base_url": f"http://127.0.0.1:{self.server.port}/v1", "model": "m", "timeout_s": DEADLINE_S, **options}
        return Module("m", kind=kind, options=given)

    def engine(self, **options):
        engine = openai.OpenAI()
        engine.load(self.module(**options), self.announce)
        self.addCleanup(engine.close)
        return engine

    def announce(self, text="batch"):
        self.announced.append(text)
        if self.on_announce:
            self.on_announce()

    def run_unit(self, engine, *requests):
        return engine.run(list(requests), SimpleNamespace(type=requests[0].type, announce=self.announce))

    def bodies(self):
        return [body for _, body, _, _ in self.server.asked]


class Answers(ServerCase):
    def test_texts_by_chat_and_by_completions(self):
        for api, path in (("chat", "/v1/chat/completions"), ("completions", "/v1/completions")):
            answers = self.run_unit(self.engine(api=api), generation("Hi, you", until=[", "]), generation("Ho"))
            self.assertEqual([one.body["text"] for one in answers], ["to Hi", "to Ho"])
            self.assertEqual([one.body["tokens"] for one in answers], [2, 2])
            self.assertEqual(self.server.asked[-1][0], path)

    def test_what_is_asked_for_is_passed_on(self):
        asked = {
            "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 2**64 - 1, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 2, "ignore_eos": True,
            "stop_token_ids": [5], "logit_bias": [[9, -1.5]], "presence_penalty": 0.5, "frequency_penalty": 0.25,
        }
        self.run_unit(self.engine(extra={"user": "u"}), generation("a", until=["b"], **asked))
        sent = {**asked, "model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 8, "stop": ["b"], "user": "u"}
        self.assertEqual(self.bodies()[-1], {**sent, "logit_bias": {"9": -1.5}, "seed": 2**63 - 1})

    def test_nothing_but_openais_own_names_is_sent_unasked(self):
        self.run_unit(self.engine(), generation("a"))
        self.assertEqual(self.bodies()[-1], {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 8, "temperature": 0.0})

    def test_a_server_that_calls_the_limit_otherwise(self):
        engine = self.engine(max_concurrency=1)
        self.server.said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        self.server.script = [400]
        answers = self.run_unit(engine, generation("a"), generation("b", 1))
        self.assertEqual([one.body["text"] for one in answers], ["to a", "to b"])
        self.assertEqual(["max_completion_tokens" in body for body in self.bodies()], [False, True, True])

    def test_loglikelihoods_are_cut_where_the_context_ends(self):
        engine = self.engine(api="completions")
        answers = self.run_unit(engine, pair("ab", "ee"), pair("ab", "ec"), pair("ab ", "e"), pair("", "ex"), pair("ab", ""))
        self.assertEqual([one.body for one in answers[:4]], [
            {"loglikelihood": -0.5, "is_greedy": True, "tokens": 2, "truncated": 0},
            {"loglikelihood": -1.25, "is_greedy": False, "tokens": 2, "truncated": 0},
            {"loglikelihood": -1.25, "is_greedy": False, "tokens": 2, "truncated": 0},  # the space is the continuation's, as in lm-eval
            {"loglikelihood": -1.25, "is_greedy": False, "tokens": 2, "truncated": 0},
        ])
        self.assertIsInstance(answers[4], BadRequest)
        self.assertEqual(sum("echo" not in body for body in self.bodies()), 1)  # a context is counted once

    def test_a_server_without_echo_is_named(self):
        engine = self.engine(api="completions")
        self.server.script = [200, {"choices": [{"text": "x", "logprobs": None}], "usage": {"prompt_tokens": 4}}]
        (answer,) = self.run_unit(engine, pair("ab", "c"))
        self.assertRegex(str(answer), "gives no log-probabilities of a prompt")
        with self.assertRaisesRegex(BadRequest, "api: chat gives no log-probabilities"):
            self.run_unit(self.engine(), pair("ab", "c"))

    def test_vectors(self):
        engine = self.engine(api="embeddings", kind="embedding", prompts={"query": "q: "})
        ask = {"type": "embed", "prompts": ["Task", "query"]}
        (answer,) = self.run_unit(engine, request_from(0, {"parts": ["abc"], "ask": ask}))
        self.assertEqual(len(answer.body["vector"]), 8)
        self.assertEqual((self.bodies()[-1]["input"], answer.body["tokens"]), ("q: abc", 2))

    def test_a_trace_is_told_apart(self):
        engine = self.engine()
        reasoning = {"start": "<think>", "end": "</think>", "opened": False}
        usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}
        self.server.script = [
            {"choices": [{"message": {"content": "yes. no", "reasoning_content": "hm. so"}}], "usage": usage},
            {"choices": [{"message": {"content": "<think>hm. so</think>\nyes. no"}}], "usage": {"completion_tokens": 9}},
            {"choices": [{"message": {"content": None, "reasoning": "hm"}}], "usage": usage},
        ]
        answers = [self.run_unit(engine, generation("a", until=["."], reasoning=reasoning))[0].body for _ in range(3)]
        self.assertEqual([one["text"] for one in answers], ["<think>hm. so</think>yes", "<think>hm. so</think>\nyes", "<think>hm"])
        self.assertEqual([one["trace"] for one in answers], [
            {"end": "own", "tokens": 4, "answer_at": 21}, {"end": "own", "tokens": 2, "answer_at": 22}, {"end": "none", "tokens": 9, "answer_at": 9}])
        self.assertNotIn("stop", self.bodies()[-1])  # a stop would end the trace

    def test_logprobs_with_the_servers_token_ids_or_a_name(self):
        engine = self.engine()
        entries = [{"token": "token_id:7", "logprob": -0.5}, {"token": "token_id:8", "logprob": -1.0}]
        choice = {"message": {"content": "ab"}, "logprobs": {"content": entries}}
        self.server.script = [{"choices": [choice], "usage": {"completion_tokens": 2}}, 200]
        first, second = (self.run_unit(engine, generation("a", logprobs=True))[0] for _ in range(2))
        self.assertEqual((first.body["token_ids"], first.body["logprobs"]), ([7, 8], [-0.5, -1.0]))
        self.assertRegex(str(second), "does not tell the ids")

    def test_replies_that_answer_nothing_fail_by_name(self):
        engine = self.engine()
        self.server.script = [{"choices": []}, {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}]
        for pattern in ("not understood", "content filter"):
            self.assertRegex(str(self.run_unit(engine, generation("a"))[0]), pattern)


class Failures(ServerCase):
    def test_busy_and_broken_servers_are_asked_again(self):
        engine = self.engine(max_concurrency=1)
        self.server.script = [429, 500, "drop", 503, 502, 200]
        (answer,) = self.run_unit(engine, generation("a"))
        self.assertEqual(answer.body["text"], "to a")
        self.assertEqual(len(self.server.asked), 6)
        self.assertEqual(engine.endpoint.counted(), {"requests": 1, "retries": 5, "prompt_tokens": 3, "completion_tokens": 2})

    def test_retry_after_is_honoured(self):
        engine = self.engine()
        self.server.script = [(429, {"Retry-After": "0.2"}), 200]
        self.run_unit(engine, generation("a"))
        first, second = (at for *_, at in self.server.asked)
        self.assertGreaterEqual(second - first, 0.2)

    def test_retry_after_as_a_date(self):
        self.assertEqual(_endpoint.seconds_of("Wed, 21 Oct 2015 07:28:00 GMT"), 0)
        self.assertGreater(_endpoint.seconds_of("Wed, 21 Oct 2099 07:28:00 GMT"), 1e6)
        self.assertEqual([_endpoint.seconds_of(one) for one in (None, "", "soon", "-3", "2")], [0, 0, 0, 0, 2])

    def test_a_wait_past_patience_is_named(self):
        engine = self.engine(wait_s=1)
        self.server.script = [(429, {"Retry-After": "3600"})]
        with self.assertRaisesRegex(_endpoint.Busy, "asks to wait 3600 s"):
            self.run_unit(engine, generation("a"))

    def test_a_poisonous_request_fails_alone(self):
        engine = self.engine(retries=2)
        self.server.script = [lambda body: 500 if body["messages"][0]["content"] == "bad" else 200] * 20
        answers = self.run_unit(engine, generation("good"), generation("bad", 1), generation("fine", 2))
        self.assertEqual([getattr(one, "body", {}).get("text") for one in answers], ["to good", None, "to fine"])
        self.assertRegex(str(answers[1]), "HTTP 500: scripted, .*after 3 tries")

    def test_a_refused_request_is_not_asked_again(self):
        engine = self.engine()
        self.server.script = [400]
        (answer,) = self.run_unit(engine, generation("a"))
        self.assertRegex(str(answer), "HTTP 400")
        self.assertEqual(len(self.server.asked), 1)

    def test_what_is_no_requests_fault_ends_the_unit(self):
        for status in (401, 404, 302):
            engine = self.engine()
            self.server.script, self.server.asked = [(status, {"Location": "http://127.0.0.1:1/"})], []
            with self.assertRaisesRegex(Refused, f"HTTP {status}"):
                self.run_unit(engine, generation("a"))
            self.assertEqual(len(self.server.asked), 1)

    def test_a_server_that_stays_away_breaks_the_engine(self):
        engine = self.engine(wait_s=0.2)
        self.server.stop()
        with self.assertRaisesRegex(EngineBroken, "refused.*waited 0.2 s"):
            self.run_unit(engine, generation("a"))
        self.server.start()

    def test_a_killed_server_is_waited_for_and_nothing_answered_is_asked_twice(self):
        engine = self.engine(max_concurrency=2)
        killed, restarted, killed_at = threading.Event(), threading.Event(), []

        def kill(body):
            self.server.stop()
            killed_at.append(len(self.announced))
            killed.set()
            return "drop"

        def restart():
            if killed.is_set() and len(self.announced) > killed_at[0] + 3 and not restarted.is_set():
                restarted.set()
                self.server.start()

        self.server.script = [200, 200, 200, kill]
        self.on_announce = restart
        answers = self.run_unit(engine, *(generation(f"text {i}", i) for i in range(8)))
        self.assertEqual([one.body["text"] for one in answers], [f"to text {i}" for i in range(8)])
        self.assertTrue(restarted.is_set())
        prompts = [body["messages"][0]["content"] for body in self.server.answered]
        self.assertEqual(sorted(prompts), [f"text {i}" for i in range(8)])

    def test_a_server_that_comes_late_is_waited_for_in_load(self):
        self.server.stop()
        self.on_announce = lambda: self.server.start() if len(self.announced) == 3 else None
        (answer,) = self.run_unit(self.engine(), generation("a"))
        self.assertEqual(answer.body["text"], "to a")
        self.assertEqual(self.announced[:3], ["wait for the server"] * 3)


class Keys(ServerCase):
    def test_a_key_is_sent_and_never_shown(self):
        with mock.patch.dict(os.environ, {"MY_KEY": KEY}):
            engine = self.engine(api_key_env="MY_KEY")
            self.server.script = [400, 200]
            (answer,) = self.run_unit(engine, generation("a"))  # the server's error repeats the header
        self.assertEqual(self.server.asked[0][2]["Authorization"], f"Bearer {KEY}")
        self.assertIn("Bearer ***", str(answer))
        self.assertNotIn(KEY, str(answer) + repr(engine.settings) + json.dumps(engine.endpoint.counted()))

    def test_no_key_no_header(self):
        with mock.patch.dict(os.environ):
            os.environ.pop("OPENAI_API_KEY", None)
            self.run_unit(self.engine(), generation("a"))
        self.assertNotIn("Authorization", self.server.asked[0][2])

    def test_options_are_checked_by_name(self):
        for options, pattern in (
            ({"api_key": KEY}, "api_key is not known.*from the environment only"), ({"model": ""}, "model is missing"), ({"api": "images"}, "api: expected"),
            ({"base_url": "http://me:secret@host/v1"}, "without user"), ({"base_url": "ftp://host"}, "base_url"), ({"retries": -1}, "retries"),
            ({"price": {"in": 1}}, "price"), ({"api": "embeddings"}, "api: embeddings answers for kind embedding"),
        ):
            with self.assertRaisesRegex(Refused, pattern) as caught:
                openai.OpenAI.check(self.module(**options), {"notes": []})
            self.assertNotIn("secret", str(caught.exception))
            self.assertNotIn(KEY, str(caught.exception))
        with self.assertRaisesRegex(Missing, "NOT_SET is not set"):
            openai.OpenAI.check(self.module(api_key_env="NOT_SET"), {})

    def test_price_by_tokens(self):
        engine = self.engine(price={"input": 2, "output": 10})
        self.run_unit(engine, generation("a"), generation("b", 1))
        self.assertAlmostEqual(engine.endpoint.counted()["price"], (6 * 2 + 4 * 10) / 1e6)


@unittest.skipIf(importlib.util.find_spec("msgpack") is None, "the package msgpack is missing")
class Served(ServerCase):
    def test_check_needs_no_folder(self):
        module = json.dumps({"name": "m", "options": self.module().options})
        made = subprocess.run([*PROGRAM, "check", "", "--module", module], env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "OPENAI_API_KEY": KEY},
                              capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(made.returncode, 0, made.stderr)
        facts = json.loads(made.stdout)
        self.assertEqual((facts["engine"]["promises"], facts["kinds"]), ([], ["generator"]))
        self.assertNotIn(KEY, made.stdout)

    def test_a_visit_and_what_it_claims(self):
        from agent import Agent, request

        with Agent(PROGRAM, OPENAI_API_KEY=KEY) as agent:
            agent.ready()
            agent.opened(options=self.module(price={"input": 1, "output": 1}).options)
            self.server.script = [500]
            answers = agent.answered([request(f"text {i}") for i in range(3)])
            self.assertEqual([one["answer"]["generate_until"]["text"] for one in answers], [f"to text {i}" for i in range(3)])
            row = agent.close()
            self.assertEqual(row["claimed"], {"requests": 3, "retries": 1, "prompt_tokens": 9, "completion_tokens": 6, "price": 15e-6})
            self.assertEqual(agent.leave(), 0)
            self.assertNotIn(KEY, agent.logged())


@unittest.skipUnless("PROCTOR_OPENAI_URL" in os.environ, "PROCTOR_OPENAI_URL names no real server")
class RealServer(unittest.TestCase):
    def test_texts_loglikelihoods_and_logprobs(self):
        options = {"base_url": os.environ["PROCTOR_OPENAI_URL"], "model": os.environ["PROCTOR_OPENAI_MODEL"], "max_concurrency": 4}
        made = {}
        for api in ("chat", "completions"):
            engine = openai.OpenAI()
            engine.load(Module("m", options={**options, "api": api}), lambda _: None)
            self.addCleanup(engine.close)
            unit = SimpleNamespace(type="generate_until", announce=lambda *_: None)
            made[api] = engine.run([generation("The capital of France is", max_gen_toks=6), generation("1, 2, 3,", 1, max_gen_toks=6)], unit)
            print(api, [getattr(one, "body", one) for one in made[api]], engine.endpoint.counted())
            self.assertTrue(all(one.body["tokens"] > 0 for one in made[api]))
        unit.type = "loglikelihood"
        likely, unlikely = engine.run([pair("The capital of France is", " Paris"), pair("The capital of France is", " made of cheese")], unit)
        print(likely.body, unlikely.body)
        self.assertGreater(likely.body["loglikelihood"], unlikely.body["loglikelihood"])


if __name__ == "__main__":
    unittest.main()
