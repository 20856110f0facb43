"""Models of tests/support/seq2seq_families.py by transformers, and what lm-eval's HFLM says to requests: one at a time, as the
reference does, in the same type.

A request is {"context", "continuation"}, {"text"} (rolling) or {"context", "until", "max_gen_toks", ...}.
"""
import contextlib
import io
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
import torch  # noqa: E402
import transformers  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from saved_model import saved  # noqa: E402
from transformers.modeling_utils import no_init_weights  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from decoder_families import ANY, NASTY, PLAIN, Dice  # noqa: E402, F401
from seq2seq_families import SEQ2SEQS, spread  # noqa: E402
import tiny_models  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
logging.disable(logging.WARNING)


def draw(name, seed, kind, share=1):
    """(config.json's content, saved tensors, other files, kind of tokenizer) as tiny_models.write_seq2seq_family takes them."""
    row, dice = SEQ2SEQS[name], Dice(f"{name} {seed}", kind, share)
    with no_init_weights():
        model = getattr(transformers, row.architecture)(getattr(transformers, row.config)(**row.keywords(dice)))
    made, shapes = saved(model)
    generation = made.get("generation_config.json", {})
    own = row.files(dice)
    files = {"tokenizer_config.json": own.tokenizer}
    if own.generation is not None:
        if own.generation:
            generation.pop("_from_model_config", None)  # else it may be disregarded
        files["generation_config.json"] = {**generation, **own.generation}
    tensors = {tensor: [*spread(tensor, shape, "T5" in row.architecture), *shape] for tensor, shape in sorted(shapes.items())}
    return {**made["config.json"], **own.config}, tensors, files, row.tokenizer


def load(folder, dtype="float32", **more):
    return HFLM(pretrained=str(folder), backend="seq2seq", device="cpu", dtype=dtype, batch_size=1, **more)


class Calls:
    """What an HFLM gave its model since the last clear, and what came back."""

    def __init__(self, lm):
        self.lm, self.scored, self.written = lm, [], []
        call, generate = lm._model_call, lm.model.generate

        def scored(inps, attn_mask=None, labels=None):
            logits = call(inps, attn_mask=attn_mask, labels=labels)
            self.scored.append((inps[0].tolist(), labels[0].tolist(), logits[0]))
            return logits

        def written(*given, **options):
            out = generate(*given, **options, return_dict_in_generate=True, output_scores=True, output_logits=True)
            self.written.append((options["input_ids"][0].tolist(), out.sequences[0].tolist(), torch.cat(out.scores), torch.cat(out.logits)))
            return out.sequences

        lm._model_call, lm.model.generate = scored, written

    def clear(self):
        self.scored.clear()
        self.written.clear()


def kind_of(request):
    return "loglikelihood" if "continuation" in request else "loglikelihood_rolling" if "text" in request else "generate_until"


def arguments_of(request):
    if "continuation" in request:
        return request["context"], request["continuation"]
    if "text" in request:
        return (request["text"],)
    return request["context"], {key: value for key, value in request.items() if key != "context"}


def answer(calls, request):
    """{"sum", "greedy"}, {"sum"} or {"text"}, with the numbers of tokens; {"error"} where lm-eval raises."""
    calls.clear()
    lm, kind = calls.lm, kind_of(request)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            [value] = getattr(lm, kind)([Instance(request_type=kind, doc={}, arguments=arguments_of(request), idx=0)], disable_tqdm=True)
    except Exception as error:
        return {"error": type(error).__name__}
    if kind == "loglikelihood_rolling":
        return {"sum": value, "tokens": sum(len(labels) for _, labels, _ in calls.scored)}
    if kind == "loglikelihood":
        context = lm._encode_pair(*arguments_of(request))[0] if request["context"] else []
        return {"sum": value[0], "greedy": value[1], "tokens": len(calls.scored[0][1]), "truncated": max(0, len(context) - lm.max_length)}
    [(_, decoder, _, _)] = calls.written
    return {"text": value, "tokens": len(decoder) - 1, "truncated": max(0, len(lm.tokenizer(request["context"]).input_ids) - lm.max_length)}
