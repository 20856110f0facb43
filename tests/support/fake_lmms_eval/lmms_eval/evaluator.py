"""One task, whose documents are the lines of --tasks FILE.jsonl: {"text", "target", "output_type" of the first}."""
import json
from types import SimpleNamespace

from lmms_eval.api.instance import Instance
from lmms_eval.models import MODEL_REGISTRY_V2


def make_task(path):
    documents = [json.loads(line) for line in open(path)]
    return SimpleNamespace(OUTPUT_TYPE=documents[0].get("output_type", "generate_until"), config=SimpleNamespace(process_results=None), dataset={"test": documents})


def simple_evaluate(model, model_args, tasks):
    lm = MODEL_REGISTRY_V2.get_model_class(model).create_from_arg_string(model_args, {"batch_size": 1, "device": None})
    task_dict = {"lines": make_task(tasks)}
    lm.task_dict["lines"] = task_dict["lines"].dataset
    return evaluate(lm=lm, task_dict=task_dict)


def messages(document):
    return [{"role": "user", "content": [{"type": "text", "text": document["text"]}]}]


def evaluate(lm, task_dict):
    documents = task_dict["lines"].dataset["test"]
    answers = lm.generate_until([Instance("generate_until", (d["text"], messages, {"max_new_tokens": 4}, i, "lines", "test")) for i, d in enumerate(documents)])
    return {"answers": [answer.text for answer in answers]}
