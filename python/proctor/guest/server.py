"""The process in a worker's slot: orders in, reports out, one visit at a time."""

from __future__ import annotations

import collections
import gc
import os
import sys
import threading
import time
import traceback
from typing import Any

from proctor.guest import processes, wire
from proctor.guest.check import engine_facts
from proctor.guest.engine import Engine
from proctor.guest.errors import BadFile, EngineBroken, fault_of, is_out_of_memory, message_of
from proctor.guest.folder import folder_hash
from proctor.guest.module import module_from
from proctor.guest.requests import request_from
from proctor.guest.units import Shard, run_shard
from proctor.guest.visit import Visit, VisitAborted
from proctor.guest.wire import Body, Connection


class Inbox:
    """Filled by a thread of its own, so that an abort and the end of the stream are seen while the engine computes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders: collections.deque[tuple[int, Body]] = collections.deque()
        self._filled = threading.Semaphore(0)
        self._aborted: set[int] = set()
        threading.Thread(target=self._read, name="proctor-reader", daemon=True).start()

    def take(self) -> tuple[int, Body]:
        self._filled.acquire()
        return self._orders.popleft()

    def aborted(self, visit: int) -> bool:
        return visit in self._aborted

    def next_is_leave(self) -> bool:
        return bool(self._orders) and self._orders[0][0] == wire.LEAVE

    def _read(self) -> None:
        try:
            while (order := self._connection.receive()) is not None:
                if order[0] == wire.ABORT_VISIT:
                    self._aborted.add(order[1]["visit"])
                self._orders.append(order)
                self._filled.release()
        except ConnectionError:
            pass
        except BaseException as error:
            say(message_of(error))
            processes.leave(1)
        processes.leave(0)  # the agent is gone: nobody would hear an answer


class Server:
    """The main thread's loop."""

    def __init__(self, engine_class: type[Engine], connection: Connection, device: str, threads: int) -> None:
        self.engine_class, self.connection = engine_class, connection
        self.device, self.threads = device, threads
        self.inbox = Inbox(connection)
        self.visit: Visit | None = None
        self.abandoned: list[Any] = []  # engines of aborted visits, whose destructors might hang
        self.warmed_up = False

    def serve(self) -> None:
        facts = engine_facts(self.engine_class, complete=False)
        self.report(wire.WORKER_READY, {"pid": os.getpid(), "facts": {"kind": self.device}, "engine": facts})
        handlers = {
            wire.OPEN_VISIT: self.open,
            wire.RUN_SHARD: self.run,
            wire.CLOSE_VISIT: self.quiesce,
            wire.TEAR_DOWN: self.tear_down,
            wire.ABORT_VISIT: self.abort,
        }
        while True:
            kind, body = self.inbox.take()
            if kind == wire.LEAVE:
                return
            if kind not in handlers:
                raise wire.Torn(f"message of unknown kind {kind}")
            try:
                handlers[kind](body)
            except VisitAborted:  # the order to abort is in the inbox
                pass

    def report(self, kind: int, body: Body) -> None:
        try:
            self.connection.send(kind, body)
        except OSError:
            processes.leave(0)

    def open(self, order: Body) -> None:
        begin = time.monotonic()
        number = order["visit"]
        visit = Visit(order, module_from(order["module"]), lambda body: self.report(wire.PROGRESS, body), lambda: self.stopped(number))
        self.visit = visit
        if visit.module.max_batch_tokens is None:
            visit.module.max_batch_tokens = visit.max_batch_tokens or None
        try:
            self.compare_folder(visit, order.get("folder_hash") or "")
            engine = self.engine_class()
            engine.device, engine.threads, engine._visit = self.device, self.threads, visit
            visit.engine = engine
            visit.announce("engine")
            engine.load(visit.module, visit.announce)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            return self.report(wire.OPEN_FAILED, {"visit": number, "fault": fault_of(error), "message": message_of(error)})
        load_s = time.monotonic() - begin
        visit.add_seconds("load_s", load_s)
        self.report(wire.VISIT_OPENED, {"visit": number, "load_s": load_s})

    def compare_folder(self, visit: Visit, expected: str) -> None:
        """Nodes may have folders of their own under one path."""
        if not expected:
            return
        visit.announce("compare folder")
        if folder_hash(visit.module.path) != expected:
            raise BadFile(
                f"{visit.module.path}: is not what the run began with (its files differ from those on rank 0's node, or were changed since); "
                "give every node the same files"
            )

    def run(self, order: Body) -> None:
        visit = self.visit_of(order)
        if visit is None or visit.engine is None:
            return
        requests = order["requests"]
        if not requests and visit.ahead[0] == order["shard"]:
            requests = visit.ahead[1]
        visit.ahead = (order.get("next_shard"), order.get("next") or [])
        begin = time.monotonic()
        visit.begin_shard()
        answer = {"visit": visit.number, "shard": order["shard"], "attempt": order["attempt"]}
        failure = None
        try:
            shard = Shard(
                [request_from(i, one) for i, one in enumerate(requests)], order.get("max_batch_tokens") or visit.max_batch_tokens,
                frozenset(order.get("isolated") or ()), frozenset(order.get("set_aside") or ()), order.get("image") or {},
            )
            responses = run_shard(visit.engine, shard, visit)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            failure = {"out_of_memory": is_out_of_memory(error), "gang_broken": isinstance(error, EngineBroken), "message": message_of(error)}
        seconds = time.monotonic() - begin
        visit.add_seconds("run_s", seconds)
        if failure is None:
            return self.report(wire.SHARD_ANSWERED, {**answer, "responses": responses, "tokens": visit.tokens_of_shard(), "seconds": seconds})
        gc.collect()  # what the error held may be what the next attempt needs
        self.report(wire.SHARD_FAILED, {**answer, **failure})

    def quiesce(self, order: Body) -> None:
        visit = self.visit_of(order)
        if visit is not None:
            visit.begin_teardown()
            visit.tell("synchronize")
            self.report(wire.QUIESCED, {"visit": visit.number, "ok": True, "message": ""})

    def tear_down(self, order: Body) -> None:
        visit = self.visit_of(order)
        if visit is None:
            return
        begin = time.monotonic()
        visit.begin_teardown()
        self.close_engine(visit)
        visit.tell("collect")
        gc.collect()
        visit.tell("children")
        for one in processes.wait_for_family(min(processes.CHILD_PATIENCE_S, visit.teardown_s / 3)):
            say(f"process {one.pid} ({one.name}) is alive after close(); an engine ends what it starts")
        visit.add_seconds("teardown_s", time.monotonic() - begin)
        self.report(wire.VISIT_CLOSED, {"visit": visit.number, "row": visit.row(self.warmed_up)})
        self.visit, self.warmed_up = None, True

    def close_engine(self, visit: Visit) -> None:
        engine, visit.engine = visit.engine, None
        if engine is None:
            return
        try:
            with visit.step("close"):
                engine.close()
        except (Exception, SystemExit):  # what it leaves is measured from outside
            traceback.print_exc()

    def abort(self, order: Body) -> None:
        """Touches nothing that can wait: this process will be replaced."""
        visit = self.visit_of(order)
        row: Body = {}
        if visit is not None:
            say(f"visit {visit.number} is aborted: {order.get('reason', '')}")
            self.abandoned.append(visit)
            self.visit = None
            row = visit.row(self.warmed_up)
        self.report(wire.VISIT_CLOSED, {"visit": order["visit"], "row": row})

    def visit_of(self, order: Body) -> Visit | None:
        return self.visit if self.visit is not None and self.visit.number == order["visit"] else None

    def stopped(self, visit: int) -> bool:
        if self.inbox.next_is_leave() and self.visit is not None and self.visit.engine is not None:
            processes.leave(0)
        return self.inbox.aborted(visit)


def say(text: str) -> None:
    print(f"proctor.guest: {text}", file=sys.stderr, flush=True)
