#!/usr/bin/env python3
"""The floors hold: orchestrator/ and worker/ include sharding/, never each other; each foreign runtime has one home."""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
ALLOWED = {"sharding": {"sharding"}, "orchestrator": {"sharding", "orchestrator"}, "worker": {"sharding", "worker"}}
HOMES = {r"mpi\.h|sqlite3\.h|yaml-cpp/|boost/|spdlog/": "orchestrator", r"ATen/|c10/|torch/|cuda|nccl": "worker"}
# What must build without LibTorch, so that sanitizers and fuzzers reach it.
NO_TORCH = re.compile(r"worker/(tokenizer/.*|safetensors|batcher|text_codec|model_folder|generation_text|json_file|tokenize_command|models/(config_reader|families|decoder_config))\.(h|cc)$")


def problems():
    for path in sorted(p for floor in ALLOWED for p in (ROOT / floor).rglob("*") if p.suffix in (".h", ".cc")):
        name, floor = str(path.relative_to(ROOT)), path.relative_to(ROOT).parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+[<"]([^>"]+)', line)
            if not found:
                continue
            header = found.group(1)
            top = header.split("/")[0]
            if top in ALLOWED and top not in ALLOWED[floor]:
                yield f"{name}:{number}: {floor}/ may not include {header}"
            for pattern, home in HOMES.items():
                if re.match(pattern, header) and floor != home:
                    yield f"{name}:{number}: {header} belongs to {home}/ alone"
            if NO_TORCH.search(name) and re.match(r"ATen/|c10/|torch/", header):
                yield f"{name}:{number}: must build without LibTorch, but includes {header}"


found = list(problems())
print("\n".join(found) or "floors hold")
sys.exit(bool(found))
