"""A retrieval pipeline of tiny models in which each step reads what the one before answered, for tests and tools/kill_and_resume."""
import json
import random

QUERIES, PASSAGES = 6, 24
DATA = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"}
TEXTS = {"query": "{{text}}", "document": "{{text}}"}
TASKS = {
    "expand": {"task": "expand", "type": "generate_until", "data": {"test": "queries.jsonl"}, "prompt": "{{text}}:", "target": "{{gold}}",
               "generation": {"until": ["\n"], "max_gen_toks": 5}},
    "wider": {"task": "wider", "type": "retrieval", "data": {**DATA, "queries": {"answers": "expand", "of": "a"}}, "query": "{{doc.text}} {{answer.text}}", "document": "{{text}}"},
    "find": {"task": "find", "type": "retrieval", "data": DATA, **TEXTS},
    "fused": {"task": "fused", "type": "fuse", "data": {**DATA, "candidates": {"answers": "find", "of": ["words", "embedder"], "top": 9}}, "document": "{{text}}"},
    "kept": {"task": "kept", "type": "filter", "data": {**DATA, "candidates": {"answers": "fused", "of": {"best": {"metrics": ["ndcg_cut_10"]}}}}, "document": "{{text}}"},
    "order": {"task": "order", "type": "rerank", "data": {**DATA, "candidates": {"answers": "kept", "of": "half", "top": 5}}, **TEXTS},
    "shorten": {"task": "shorten", "type": "compress", "contexts": {"answers": "order", "of": {"best": {"metrics": ["ndcg_cut_10"]}}, "top": 3},
                "question": "{{doc.text}}", "target_tokens": 120},
    "reply": {"task": "reply", "type": "generate_until", "data": {"test": {"answers": "shorten", "of": "compressor"}},
              "prompt": "{{answer.text}}\n{{doc.doc.text}}:", "target": "{{doc.doc.gold}}", "metrics": ["exact_match", "token_f1"],
              "generation": {"until": ["\n"], "max_gen_toks": 6}},
    "judge": {"task": "judge", "type": "generate_until", "data": {"test": {"answers": "reply"}},
              "prompt": "{{doc.doc.doc.text}} {{answer.text}} {{answer.metrics.token_f1}} by {{answer.module}}. Grade:", "metrics": [{"number": {"otherwise": 1}}],
              "generation": {"until": ["\n"], "max_gen_toks": 3}},
    "compare": {"task": "compare", "type": "generate_until", "data": {"test": {"answers": "reply", "pair": ["a", "b"]}},
                "prompt": "{{first.text}} or {{second.text}}?", "metrics": ["preference", "consistency"], "generation": {"until": ["\n"], "max_gen_toks": 3}},
}
MODULES = [{"name": "embedder", "kind": "embedding", "path": "bert"}, {"name": "words", "kind": "bm25"}, {"name": "rrf", "kind": "fusion"},
           {"name": "sum", "kind": "fusion", "options": {"method": "convex", "weights": [0.3, 0.7]}}, {"name": "half", "kind": "filter", "options": {"percentile": 0.5}},
           {"name": "t5", "kind": "monot5", "path": "t5"},
           {"name": "pairs", "kind": "cross_encoder", "path": "bert_pairs"}, {"name": "compressor", "kind": "longllmlingua", "path": "llama_long"},
           {"name": "a", "path": "llama_long", "tasks": ["reply", "expand"]}, {"name": "b", "path": "qwen3", "tasks": ["reply"]},
           {"name": "judge", "path": "llama_long", "tasks": ["judge", "compare"], "chat_template": "judge.jinja"}]


def write(folder, words, queries=QUERIES):
    """Rows and tasks, in `folder`."""
    rng = random.Random(11)
    rows = {"corpus": [{"_id": f"p{i}", "text": words(rng, 2 + i % 9)} for i in range(PASSAGES)],
            "queries": [{"_id": f"q{i}", "text": words(rng, 3), "gold": words(rng, 1)} for i in range(queries)]}
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "judge.jinja").write_text("[{{ messages[-1]['content'] }}]")
    (folder / "qrels.tsv").write_text("".join(f"q{i}\tp{3 * i % PASSAGES}\t1\n" for i in range(queries)))
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(json.dumps(task, indent=1))
