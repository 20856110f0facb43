"""One seeded case: a run is killed (a worker, an agent, rank 0, the whole job; at a random moment or at a write boundary of run.db), and
resumed with other ranks and workers until it is done. What must hold is checked in the files and, row by row, in run.db."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import chain_suite

LAST_BOUNDARY = 190  # of run.db in an undisturbed run of the suite below, about; the first that many seeds kill at each in turn
KINDS = ("worker", "agent", "rank 0", "job", "boundary")
RUN_SECONDS = 180  # a deadline: a run takes about 2 s


def retrieval_suite(folder, tiny_models, words):
    """A suite of an encoder that embeds a corpus and of a T5 that reranks, some 20 shards, in `folder`."""
    rng = random.Random(1)
    tiny_models.write_encoder(folder / "bert", "bert")
    tiny_models.write_t5(folder / "t5", "t5")
    rows = {"corpus": [{"_id": f"p{i}", "text": words(rng, 1 + i % 12)} for i in range(400)], "queries": [{"_id": f"q{i}", "text": words(rng, 3)} for i in range(40)]}
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "qrels.tsv").write_text("".join(f"q{i}\tp{7 * i}\t1\n" for i in range(40)))
    (folder / "run.trec").write_text("".join(f"q{i} Q0 p{(7 * i + k) % 400} {k + 1} {20 - k} first\n" for i in range(40) for k in range(12)))
    data = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"}
    texts = {"query": "{{text}}", "document": "{{text}}"}
    for task in ({"task": "find", "type": "retrieval", "data": data, **texts}, {"task": "order", "type": "rerank", "data": {**data, "candidates": "run.trec"}, **texts}):
        (folder / f"{task['task']}.yaml").write_text(json.dumps(task))
    modules = [{"name": "bert", "kind": "embedding", "path": "bert", "max_batch_tokens": 64}, {"name": "t5", "kind": "monot5", "path": "t5", "max_batch_tokens": 256}]
    (folder / "suite.yaml").write_text(json.dumps({"suite": "kills", "modules": modules, "tasks": ["find.yaml", "order.yaml"]}))


def suite(folder, tiny_models, words):
    """A suite of one tiny module and three tasks, some 20 shards, in `folder`."""
    rng = random.Random(1)
    tiny_models.write_model(folder / "llama", "llama")
    rows = {"choice": [{"q": words(rng, 3), "c": [words(rng, 2) for _ in range(3)], "gold": i % 3} for i in range(96)],
            "say": [{"q": words(rng, 4), "a": words(rng, 1)} for _ in range(160)], "roll": [{"t": words(rng, 30)} for _ in range(24)]}
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = [{"task": "choice", "type": "multiple_choice", "data": {"test": "choice.jsonl"}, "prompt": "{{q}}\nA:", "choices": "{{c}}", "answer": "{{gold}}"},
             {"task": "say", "type": "generate_until", "data": {"test": "say.jsonl"}, "prompt": "{{q}}", "target": "{{a}}",
              "generation": {"until": ["\n"], "max_gen_toks": 24}},
             {"task": "roll", "type": "loglikelihood_rolling", "data": {"test": "roll.jsonl"}, "text": "{{t}}"}]
    for task in tasks:
        (folder / f"{task['task']}.yaml").write_text(json.dumps(task))
    (folder / "suite.yaml").write_text(json.dumps({"suite": "kills", "modules": [{"name": "a", "path": "llama", "max_batch_tokens": 64}],
                                                   "tasks": ["choice.yaml", "say.yaml", "roll.yaml"]}))


def chains(folder, tiny_models, words):
    """The pipeline of chain_suite, some 30 shards in seven steps, in `folder`."""
    tiny_models.main(folder)
    tiny_models.write_model(folder / "qwen3", "qwen3")
    chain_suite.write(folder, words, queries=24)
    modules = [{**module, "max_batch_tokens": 256} if "path" in module else module for module in chain_suite.MODULES]
    (folder / "suite.yaml").write_text(json.dumps({"suite": "kills", "modules": modules, "tasks": [f"{name}.yaml" for name in chain_suite.TASKS]}))


def command(binary, out, ranks, workers):
    run = [str(binary), "run", "suite.yaml", "--out", out, "--workers", str(workers), "--device", "cpu", "--progress", "none"]
    return ["mpirun", "--oversubscribe", "-n", str(ranks), *run] if ranks else run


def final_files(root):
    return {str(path.relative_to(root)): path.read_bytes() for part in ("results", "samples") for path in sorted((root / part).rglob("*")) if path.is_file()}


def processes(mark):
    """name, start time and number of every process of the case, by its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(((folder / "comm").read_text().strip(), int((folder / "stat").read_text().rsplit(")", 1)[1].split()[19]), int(folder.name)))
        except OSError:
            continue
    return sorted(found)


def rank_of(pid):
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return -1
    return next((int(entry.split(b"=")[1]) for entry in entries if entry.startswith(b"OMPI_COMM_WORLD_RANK=")), 0)


def victims(kind, rng, mark):
    found = processes(mark)
    workers = [pid for name, _, pid in found if name.startswith("proctor-worker")]
    ranks = [pid for name, _, pid in found if name == "proctor"]
    if kind == "worker":
        return [rng.choice(workers)] if workers else []
    if kind == "agent":
        others = [pid for pid in ranks if rank_of(pid) > 0]
        return [rng.choice(others)] if others else [pid for pid in ranks if rank_of(pid) == 0]
    if kind == "rank 0":
        return [pid for pid in ranks if rank_of(pid) == 0]
    return [pid for _, _, pid in found]


def undisturbed(binary, folder):
    """Its files and how long it took."""
    begin = time.monotonic()
    calm = Case(0, binary, folder)
    assert calm.start()[0].wait(RUN_SECONDS) == 0, f"the undisturbed run failed: {folder}"
    return final_files(folder / calm.out), time.monotonic() - begin


class Case:
    def __init__(self, seed, binary, folder, expected=None, calm_seconds=0):
        """expected: the files of an undisturbed run, which took calm_seconds."""
        self.seed, self.binary, self.folder, self.expected, self.calm_seconds = seed, binary, Path(folder), expected, calm_seconds
        self.rng = random.Random(seed)
        self.out = f"case-{seed}"
        self.told = []
        self.kills = 0

    def start(self, harm=None):
        ranks, workers = self.rng.choice([(0, 1), (0, 2), (1, 2), (2, 1), (3, 1)])
        self.told.append(f"{ranks} ranks, {workers} workers")
        mark = f"PROCTOR_CASE={self.out}-{len(self.told)}"
        environment = {**os.environ, "PROCTOR_CASE": mark.split("=")[1], **({"PROCTOR_TEST_STORE": json.dumps(harm)} if harm else {})}
        with open(self.folder / f"{self.out}.log", "ab") as log:
            return subprocess.Popen(command(self.binary, self.out, ranks, workers), cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True), mark

    def kill_one(self, kind, boundary):
        """Starts a run and kills in it; its exit code."""
        if kind == "boundary":
            process, mark = self.start({"operation": boundary, "action": "kill"})
            killed = "run.db"
        else:
            process, mark = self.start()
            time.sleep(self.rng.uniform(0.2, self.calm_seconds))  # the random moment
            killed = victims(kind, self.rng, mark)
            for pid in killed:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        code = process.wait(RUN_SECONDS)
        deadline = time.monotonic() + 30
        while processes(mark) and time.monotonic() < deadline:
            time.sleep(0.01)
        left = processes(mark)
        assert not left, f"processes are left: {left}"
        if kind == "worker":
            assert code == 0, f"a killed worker ended the run with {code}"
        else:
            assert code in (0, 75, 137, 143, -signal.SIGKILL), f"the killed run ended with {code}"
        if killed and (code or kind == "worker"):
            self.kills += 1
        self.told.append(f"{kind} killed: exit code {code}")
        return code

    def run(self):
        """Throws AssertionError for what does not hold."""
        for kill in range(self.rng.choice([1, 1, 1, 2, 3])):
            kind, boundary = self.rng.choice(KINDS), self.rng.randint(1, LAST_BOUNDARY)
            if kill == 0 and self.seed <= LAST_BOUNDARY:
                kind, boundary = "boundary", self.seed
            if self.kill_one(kind, boundary) == 0:
                break
        process, _ = self.start()
        code = process.wait(RUN_SECONDS)
        assert code == 0, f"the undisturbed resume ended with {code}"
        assert final_files(self.folder / self.out) == self.expected, "other bytes than those of an undisturbed run"
        self.check_rows()

    def check_rows(self):
        """No shard is handed out once its answer is durable, none is answered twice, nothing is isolated."""
        with sqlite3.connect(f"file:{self.folder / self.out / 'run.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT CAST(kind AS TEXT), CAST(key AS TEXT) FROM log ORDER BY id").fetchall()
            shapes = database.execute("SELECT count(*) FROM records WHERE CAST(kind AS TEXT) = 'shape'").fetchone()[0]
        database.close()
        answered, attempted = set(), []
        for kind, key in rows:
            if kind == "answer":
                assert key not in answered, "an acknowledged answer was computed again"
                answered.add(key)
            if kind == "attempt":
                assert key not in answered, "a shard was handed out after its answer was durable"
                attempted.append(key)
        assert shapes == 0, "a kill from outside isolated or set aside something"
        self.shards, self.in_vain = len(answered), len(attempted) - len(answered & set(attempted))  # rank 0's own shards are handed to nobody
