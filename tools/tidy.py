#!/usr/bin/env python3
"""Runs clang-tidy over the sources that include no torch (its headers take minutes); what has not changed since it last
passed is skipped.

    tidy.py BUILD_FOLDER
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

BUILD = Path(sys.argv[1])
ROOT = Path.cwd()
STAMPS = BUILD / "tidy"


def fingerprint(path, headers):
    return hashlib.sha256(path.read_bytes() + headers).hexdigest()


def includes_torch(path, seen):
    if path in seen or not path.exists():
        return False
    seen.add(path)
    includes = re.findall(r'#include\s+[<"]([^">]+)', path.read_text())
    return any(i.startswith(("ATen/", "c10/", "torch/")) or includes_torch(ROOT / i, seen) for i in includes)


def tidy(path):
    return subprocess.run(["clang-tidy-14", "--quiet", "-p", str(STAMPS), "--extra-arg=-w", str(path)], capture_output=True, text=True)


def commands():
    """The build's, without its precompiled headers, which are of another compiler; kept where clang-tidy looks."""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    for entry in entries:
        entry["command"] = re.sub(r" -Winvalid-pch -include \S+/cmake_pch\.hxx", "", entry["command"])
    (STAMPS / "compile_commands.json").write_text(json.dumps(entries))
    return {entry["file"] for entry in entries}


def main():
    STAMPS.mkdir(exist_ok=True)
    ours = sorted(p for floor in ("sharding", "orchestrator", "worker") for p in (ROOT / floor).rglob("*.[hc]*") if p.suffix in (".h", ".cc"))
    headers = b"".join(p.read_bytes() for p in ours if p.suffix == ".h") + (ROOT / ".clang-tidy").read_bytes()
    known = commands()
    todo = {p: STAMPS / fingerprint(p, headers) for p in ours if str(p) in known and not includes_torch(p, set())}
    todo = {path: stamp for path, stamp in todo.items() if not stamp.exists()}
    failed = False
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in zip(todo, pool.map(tidy, todo)):
            if result.returncode == 0:
                todo[path].touch()
            else:
                failed = True
                print(result.stdout or result.stderr)
    print(f"clang-tidy: {len(todo)} files looked at, {'failed' if failed else 'no finding'}")
    sys.exit(failed)


main()
