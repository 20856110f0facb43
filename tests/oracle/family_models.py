"""Models of tests/support/decoder_families.py by transformers: their configuration and saved tensors, and a folder loaded."""
import json
import sys
from pathlib import Path

import torch
import transformers
from packaging.version import Version

try:
    from transformers.initialization import no_init_weights  # from 5 on
except ImportError:
    from transformers.modeling_utils import no_init_weights

from saved_model import saved

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from decoder_families import ANY, FAMILIES, NASTY, PLAIN, Dice, spread  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
HERE = Version(transformers.__version__)


def own_families():
    """Those whose numbers this transformers gives: another major release writes another config.json, and has other faults."""
    return [name for name, family in FAMILIES.items() if can_make(name) and Version(family.needs).major == HERE.major]


def can_make(name):
    return Version(FAMILIES[name].needs) <= HERE


def made(family, keywords):
    """A model of a row of families, without numbers."""
    config = getattr(transformers, family.config)(**keywords)
    with no_init_weights():
        return getattr(transformers, family.architecture)(config)


def draw(name, seed, kind, share=1):
    """(config.json's content as transformers writes it, saved tensors as tiny_models.write_family takes them)."""
    family, dice = FAMILIES[name], Dice(f"{name} {seed}", kind, share)
    files, shapes = saved(made(family, family.keywords(dice)))
    tied = not any(tensor.endswith(("lm_head.weight", "embed_out.weight")) for tensor in shapes)
    rename = family.rename if family.rename and tied and kind != PLAIN and dice.option(False, True) else str
    return files["config.json"], {rename(tensor): [*spread(family, tensor, shape, tied), *shape] for tensor, shape in sorted(shapes.items())}


def load(folder, attention, dtype=torch.float32):
    """Every tensor of the model must come from the folder."""
    architecture = json.loads((Path(folder) / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, architecture).from_pretrained(folder, dtype=dtype, attn_implementation=attention, output_loading_info=True)
    wrong = {kind: names for kind, names in info.items() if names}
    if wrong:
        raise ValueError(f"{folder}: {wrong}")
    if HERE.major > 4:
        model.set_experts_implementation("eager")
    return model.eval()


def logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def greedy(model, tokens, count):
    """With no token that ends it; without a cache, which 4.57.1 gets wrong for windows of Qwen2Moe and PhiMoE."""
    out = model.generate(torch.tensor([tokens]), max_new_tokens=count, do_sample=False, use_cache=False, eos_token_id=None, pad_token_id=0)
    return out[0, len(tokens):].tolist()


def log_likelihood(model, tokens, continuation):
    log_p = logits(model, tokens + continuation[:-1]).double().log_softmax(-1)
    return sum(log_p[len(tokens) - 1 + i, token].item() for i, token in enumerate(continuation))
