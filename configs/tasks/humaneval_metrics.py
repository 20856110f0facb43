"""HumanEval's pass@1 (Chen et al. 2021, arXiv:2107.03374): the function that the model completed is run against the row's test.

Only with --allow-code, since it runs what a model wrote: in a process of its own in an empty folder, without network, within 2 GiB of
addresses, 10 seconds of computing and 20 of waiting, files of 1 MiB, no core. It can still read what you can: run it in a container where
that matters.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

COMPUTING_S, WAITING_S, FILE_BYTES = 10, 20, 1 << 20


def limited():
    os.setsid()  # what it starts ends with it
    for limit, value in ((resource.RLIMIT_CPU, COMPUTING_S), (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))


def passes(program):
    """Whether it ends by itself, without an exception."""
    if os.environ.get("PROCTOR_NETWORK") != "none":
        raise RuntimeError("what a model wrote is run without network only, and this system lets no process give it up (user namespaces are off)")
    with tempfile.TemporaryDirectory(prefix="proctor-code-") as folder:
        # A program that leaves early has passed nothing: the mark is printed behind the test.
        mark = f"passed {os.urandom(16).hex()}"
        (Path(folder) / "program.py").write_text(f"{program}\nprint({mark!r})\n", encoding="utf-8")
        with open(Path(folder) / "said", "wb") as said:
            child = subprocess.Popen([sys.executable, "-I", "-B", "program.py"], stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL, cwd=folder,
                                     env={"PATH": "/usr/bin:/bin", "HOME": folder}, preexec_fn=limited)
        try:
            code = child.wait(WAITING_S)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        last = (Path(folder) / "said").read_bytes().rstrip(b"\n").split(b"\n")[-1]
        return code == 0 and last == mark.encode()


def pass_at_1(prediction, references, doc):
    return passes(f"{doc['prompt']}{prediction}\n{doc['test']}\ncheck({doc['entry_point']})")
