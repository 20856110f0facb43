"""Run directories for the tests of `proctor report` and `proctor export`: written by hand, so that they hold what no small model says."""
import hashlib
import json
import random

EVIL = "</script><script>document.title = 'seized'</script><img src=x onerror=\"document.title = 'seized'\">{{data}} <b>bold</b>"


def ledger_line(module, visit, worker, opened):
    return {"module": module, "visit": visit, "worker": worker, "incarnation": 1, "member": 0, "members": 1, "device": "cpu", "verdict": "clean", "reason": "", "opened_s": opened,
            "closed_s": opened + 2, "load_s": 0.5, "run_s": 1.4, "teardown_s": 0.1, "tokens": 100, "allocated_before": 0, "allocated_peak": 1 << 20, "allocated_after": 0}


def choice_line(rng, i, right, answer):
    """A multiple-choice sample as proctor writes it; `right`: whether it is answered so."""
    question = f"Question {i}: " + " ".join(rng.choice(["river", "mountain", "engine", "violin", "planet", "copper", "window", "harbour"]) for _ in range(14)) + "?"
    choices = [f"{rng.choice(['oak', 'iron', 'salt', 'wool'])} {k}" for k in range(4)]
    gold = rng.randrange(4)
    best = gold if right else (gold + 1) % 4
    scores = [repr(-10 * rng.random() - (0 if k == best else 12)) for k in range(4)]
    digest = hashlib.sha256(question.encode()).hexdigest()
    return {"doc_id": i, "doc": {"question": question, "choices": choices, "gold": gold}, "target": gold,
            "arguments": {f"gen_args_{k}": {"arg_0": question + "\nAnswer:", "arg_1": " " + choice} for k, choice in enumerate(choices)},
            "resps": [[[score, "False"]] for score in scores], "filtered_resps": [[score, "False"] for score in scores], "filter": "none", "metrics": ["acc"],
            "doc_hash": digest, "prompt_hash": digest[::-1], "target_hash": digest, "acc": float(right)}


def said_line(i, text, failed=False):
    digest = hashlib.sha256(str(i).encode()).hexdigest()
    return {"doc_id": i, "doc": {"q": f"say {i}"}, "target": f"t{i}", "arguments": {"gen_args_0": {"arg_0": f"say {i}", "arg_1": {"until": ["\n"]}}},
            **({"resps": None, "error": "it was too much"} if failed else {"resps": [[text]], "filtered_resps": [text]}), "filter": "none", "metrics": ["exact_match"],
            "doc_hash": digest, "prompt_hash": digest, "target_hash": digest, **({} if failed else {"exact_match": float(i % 2)}), **({"truncated": 1} if i == 3 else {}),
            **({"unfinished_reasoning": 1} if i == 4 else {})}


def write_run(root, documents=40, seed=1, modules=("first", "second")):
    """Two modules; a group `all` of the tasks `left` and `right`, multiple choice, and a task `say` whose answers are evil."""
    rng = random.Random(seed)
    for part in ("results", "samples"):
        (root / part).mkdir(parents=True)
    (root / "run.db").touch()
    tasks = ("left", "right", "say")
    totals = {task: documents if task != "say" else 12 for task in tasks}
    (root / "status.json").write_text(json.dumps({"state": "finished", "exit_code": 3, "failures": ["first / say, request 5: it was too much"],
                                                  "pairs": [{"module": module, "task": task, "done": totals[task], "total": totals[task]} for module in modules for task in tasks]}))
    (root / "manifest.json").write_text(json.dumps({"suite": "made by hand", "command_line": ["proctor", "run", EVIL], "nodes": ["n1"], "device": {"kind": "cpu"}, "seconds": 4.0,
                                                    "tokens_computed": 200, "utilisation": 0.5, "events": []}))
    (root / "suite.yaml").write_text("suite: made by hand\n")
    (root / "ledger.jsonl").write_text("".join(json.dumps(ledger_line(module, v + 1, f"0.{v}", 2.0 * v)) + "\n" for v, module in enumerate(modules)))
    for module in modules:
        (root / "samples" / module).mkdir()
        means = {}
        for task in ("left", "right"):
            same = random.Random(f"{seed} {task}")  # the same questions for both
            lines = [choice_line(same, i, rng.random() < 0.7, module) for i in range(documents)]
            means[task] = sum(line["acc"] for line in lines) / documents
            (root / "samples" / module / f"{task}.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        lines = [said_line(i, EVIL if i == 7 else f"needle {i}" if i == 8 else f"answer {i}", failed=i == 5 and module == modules[0]) for i in range(12)]
        (root / "samples" / module / "say.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        means["all"] = (means["left"] + means["right"]) / 2
        results = {name: {"name": name, "alias": name, "acc,none": mean, "acc_stderr,none": 0.05} for name, mean in means.items()}
        results["say"] = {"name": "say", "alias": "say", "exact_match,none": 0.5, "exact_match_stderr,none": 0.1}
        (root / "results" / f"{module}.json").write_text(json.dumps({
            "results": results, "groups": {"all": results["all"]}, "group_subtasks": {"all": ["left", "right"], "say": []}, "configs": {task: {"task": task} for task in tasks},
            "versions": {task: 1.0 for task in tasks}, "n-shot": {task: 0 for task in tasks}, "higher_is_better": {task: {"acc": True} for task in tasks},
            "n-samples": {task: {"original": totals[task], "effective": totals[task]} for task in tasks}, "config": {"model": "proctor"}, "model_name": module, "model_source": "proctor"}))
    return root
