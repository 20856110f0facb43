#!/usr/bin/env python3
"""The rooms hold: a room includes the rooms below it that the table names, and no other; each foreign runtime has one home.

    layering.py CHECKOUT
"""
import re
import sys
from pathlib import Path

# A room -> the rooms that it may include. Nothing points upward, and no arrow is unused: the table is the architecture.
ROOMS = {
    "sharding/protocol": "",
    "sharding/images": "sharding/protocol",
    "sharding/planning": "sharding/protocol sharding/images",
    "sharding/conductor": "sharding/protocol sharding/planning",
    "sharding/simulation": "sharding/conductor",
    #
    "orchestrator/base": "sharding/protocol",
    "orchestrator/spec": "sharding/protocol",
    "orchestrator/cpython": "",
    "orchestrator/data": "sharding/protocol",
    "orchestrator/prompts": "cpython data spec sharding/protocol",
    "orchestrator/metrics": "cpython spec sharding/protocol",
    "orchestrator/retrievers": "cpython data metrics sharding/protocol",
    "orchestrator/task_types": "cpython data spec prompts metrics sharding/protocol",
    "orchestrator/suite": "base data spec metrics retrievers task_types sharding/protocol",
    "orchestrator/store": "base sharding/protocol",
    "orchestrator/images": "metrics store sharding/protocol sharding/images",
    "orchestrator/sidecar": "base data metrics prompts sharding/protocol",
    "orchestrator/watch": "sharding/protocol",
    "orchestrator/ranks": "base store watch sharding/protocol",
    "orchestrator/planning": "base cpython data images spec prompts metrics retrievers store task_types sharding/protocol sharding/images sharding/planning sharding/simulation",
    "orchestrator/scoring": "base cpython metrics store task_types planning sharding/protocol sharding/images",
    "orchestrator/report": "base metrics store planning scoring sharding/protocol sharding/planning sharding/conductor",
    "orchestrator/compare": "sharding/protocol",
    "orchestrator/page": "compare report sharding/protocol",
    "orchestrator/run": "base spec metrics retrievers store ranks planning scoring report sharding/protocol sharding/planning sharding/conductor",
    "orchestrator/commands": "base compare page spec suite sidecar store images ranks planning scoring report run sharding/protocol",
    #
    "worker/base": "sharding/protocol",
    "worker/tokenizer": "base sharding/protocol",
    "worker/checkpoint": "base tokenizer sharding/protocol",
    "worker/images": "base checkpoint sharding/protocol sharding/images",
    "worker/batching": "sharding/protocol",
    "worker/postprocessing": "sharding/protocol",
    "worker/device": "base sharding/protocol",
    "worker/communicator": "base sharding/protocol",
    "worker/kernels": "base sharding/protocol",
    "worker/models": "base checkpoint communicator kernels sharding/protocol sharding/images",
    "worker/attention": "base checkpoint batching kernels models sharding/protocol",
    "worker/inference": "checkpoint batching postprocessing kernels models attention sharding/protocol sharding/planning",
    "worker/kinds": "base tokenizer checkpoint images batching postprocessing device communicator kernels models attention inference sharding/protocol sharding/images sharding/planning",
    "worker/visit": "base checkpoint device communicator kinds sharding/protocol",
    "worker/commands": "base checkpoint images device kinds visit sharding/protocol",
}
# What must build without LibTorch, so that sanitizers and fuzzers reach it.
NO_TORCH = {"worker/base", "worker/tokenizer", "worker/checkpoint", "worker/images", "worker/batching", "worker/postprocessing"}
# A foreign runtime's headers -> where they may be included.
HOMES = {
    r"mpi\.h": "orchestrator/ranks",
    r"sqlite3\.h": "orchestrator/store",
    r"boost/program_options": "orchestrator/commands",
    r"boost/math/": "orchestrator/compare",
    r"yaml-cpp/": "orchestrator/suite",
    r"(jpeglib|jerror|png|gif_lib)\.h|webp/": "worker/images",
    r"ATen/|c10/|torch/|cuda|nccl\.h": "worker/",
}
# Where JSON may be included: encoders, whose names end in _json; what reads files that are JSON; what keeps values that
# only a user's file gives their form. Everywhere else values have types.
JSON_FILES = {
    "sharding/protocol/module.h": "options, which the module's kind alone understands",
    "orchestrator/spec/suite.h": "options of metrics and filters",
    "orchestrator/spec/chat.h": "chat_template_kwargs, which the template alone understands",
    "orchestrator/retrievers/option_values.h": "options, which the module's kind alone understands",
    "orchestrator/retrievers/retriever.h": "options",
    "orchestrator/retrievers/retriever_thread.h": "options",
    "orchestrator/sidecar/sidecar.h": "what the sidecar is asked and answers",
    "orchestrator/base/error_line.cc": "a line out",
    "orchestrator/images/image_values.h": "a row of the user's data",
    "orchestrator/commands/render.cc": "lines in and out",
    "orchestrator/commands/compare.cc": "samples in, JSON out",
    "orchestrator/compare/side.cc": "results and samples in",
    "orchestrator/data/document.h": "a row of the user's data",
    "orchestrator/data/table_reader.h": "such a row",
    "orchestrator/cpython/python_text.h": "Python's str, repr and json.dumps of such values",
    "orchestrator/metrics/text_metrics.h": "options",
    "orchestrator/metrics/text_metric_table.h": "options",
    "orchestrator/metrics/code_metric.h": "a row of the user's data",
    "orchestrator/prompts/template_filter.h": "values of such a row",
    "orchestrator/task_types/row_options.h": "options",
    "orchestrator/suite/yaml_fields.h": "values of YAML",
    "orchestrator/suite/data_place.cc": "what datasets.save_to_disk writes beside its data",
    "orchestrator/store/run_lock.h": "owner.json",
    "orchestrator/store/store_fault_hook.cc": "what a test plants",
    "orchestrator/commands/worker_facts.h": "what the worker binary prints",
    "orchestrator/commands/samples_view.cc": "lines of samples/",
    "orchestrator/run/notices.cc": "what --notify is told",
    "orchestrator/report/run_files.h": "results files, lines of turns.jsonl",
    "orchestrator/report/module_rows.h": "results files",
    "orchestrator/page/page_images.h": "lines of samples/",
    "orchestrator/page/packed_samples.h": "lines of samples/",
    "orchestrator/page/page_data.h": "what the page's script works on",
    "orchestrator/page/page.cc": "the same",
    "orchestrator/report/ledger_view.h": "a part of manifest.json",
    "orchestrator/report/module_table.h": "results files",
    "orchestrator/scoring/results_table.h": "results files",
    "orchestrator/report/timeline.h": "lines of turns.jsonl",
    "worker/base/json_file.h": "files of a model folder",
    "worker/checkpoint/config_reader.h": "config.json",
    "worker/checkpoint/image_processor.h": "config.json",
    "worker/checkpoint/known_keys.h": "files of a model folder",
    "worker/checkpoint/generation_defaults.h": "generation_config.json, config.json",
    "worker/checkpoint/tokenizer_classes.h": "config.json, tokenizer_config.json",
    "worker/checkpoint/safetensors.cc": "a safetensors header",
    "worker/commands/tokenize_command.cc": "lines in and out",
    "worker/visit/fault_hook.cc": "what a test plants",
    **{f"worker/tokenizer/{name}.h": "tokenizer.json" for name in ("decoder", "normalizer", "pattern", "post_processor", "pre_tokenizer", "token_model")},
}


def rooms_below(room):
    floor = room.split("/")[0]
    return {name if "/" in name else f"{floor}/{name}" for name in ROOMS[room].split()}


def sources(root):
    """(room or floor, path) of every source file."""
    for floor in sorted({room.split("/")[0] for room in ROOMS}):
        for path in sorted((root / floor).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield "/".join(path.relative_to(root).parts[:2]), path


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+[<"]([^>"]+)', line)
        if found:
            yield number, found.group(1)


def wrong_includes(root, used):
    for room, path in sources(root):
        name = path.relative_to(root)
        if room not in ROOMS:
            yield f"{name}: lies in no room; the rooms are in tests/layering.py"
            continue
        for number, header in includes(path):
            target = "/".join(header.split("/")[:2])
            if target.split("/")[0] in ("sharding", "orchestrator", "worker") and target != room:
                used.add((room, target))
                if target not in rooms_below(room):
                    yield f"{name}:{number}: {room} may not include {header}; it may include {', '.join(sorted(rooms_below(room))) or 'no other room'}"
            for pattern, home in HOMES.items():
                if re.match(pattern, header) and not room.startswith(home):
                    yield f"{name}:{number}: {header} belongs to {home} alone"
            if room in NO_TORCH and re.match(r"ATen/|c10/|torch/", header):
                yield f"{name}:{number}: {room} must build without LibTorch, but includes {header}"


def wrong_json(root):
    """JSON includes outside the list, and entries of the list that include none."""
    unused = set(JSON_FILES)
    for _, path in sources(root):
        name = str(path.relative_to(root))
        lines = [number for number, header in includes(path) if header.startswith("nlohmann/")]
        unused.discard(name if lines else "")
        if lines and name not in JSON_FILES and not path.stem.endswith("_json"):
            yield f"{name}:{lines[0]}: includes JSON; give the value a type and its JSON form a *_json file, or a line in JSON_FILES (tests/layering.py) that says why"
    for name in sorted(unused):
        yield f"tests/layering.py: {name} is in JSON_FILES and includes no JSON"


def circles():
    done = set()

    def visit(room, path):
        if room in path:
            yield "a circle of rooms: " + " -> ".join([*path[path.index(room) :], room])
        elif room not in done:
            for below in sorted(rooms_below(room)):
                yield from visit(below, [*path, room])
            done.add(room)

    for room in ROOMS:
        yield from visit(room, [])


def cmake_differences(root):
    """Every room's CMakeLists.txt names the rooms of the table."""
    for room in ROOMS:
        file = root / room / "CMakeLists.txt"
        text = file.read_text() if file.exists() else ""
        call = re.search(rf"proctor_room\({room.replace('/', '_')}\b(.*?)\)", text, re.DOTALL)
        if not call:
            yield f"{room}/CMakeLists.txt: proctor_room({room.replace('/', '_')} ...) is missing"
            continue
        uses = re.search(r"\bUSES\b(.*?)(\bLIBRARIES\b|\Z)", call.group(1), re.DOTALL)
        named = {name.replace("_", "/", 1) for name in (uses.group(1).split() if uses else [])}
        if named != rooms_below(room):
            yield f"{room}/CMakeLists.txt: USES differs from tests/layering.py by {', '.join(sorted(named ^ rooms_below(room)))}"


def problems(root):
    used = set()
    yield from wrong_includes(root, used)
    yield from wrong_json(root)
    yield from circles()
    yield from cmake_differences(root)
    for room in ROOMS:
        for below in sorted(rooms_below(room)):
            if (room, below) not in used:
                yield f"tests/layering.py: {room} -> {below} is allowed and not used; take it out of the table"


def main():
    found = list(problems(Path(sys.argv[1])))
    print("\n".join(found) or f"{len(ROOMS)} rooms hold")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
