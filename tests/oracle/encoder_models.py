"""Models of tests/support/encoder_families.py by transformers: their configuration and saved tensors, and a folder loaded."""
import json
import sys
from pathlib import Path

import remote_encoders
import torch
import transformers
from saved_model import saved
from transformers.modeling_utils import no_init_weights

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from decoder_families import ANY, NASTY, PLAIN, Dice  # noqa: E402, F401
from encoder_families import ENCODERS, spread  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
remote_encoders.register()


def class_named(name):
    return getattr(remote_encoders, name, None) or getattr(transformers, name)


def draw(name, seed, kind, share=1):
    """(config.json's content as transformers writes it, saved tensors as tiny_models.write_encoder_family takes them)."""
    encoder, dice = ENCODERS[name], Dice(f"{name} {seed}", kind, share)
    keywords = encoder.keywords(dice)
    with no_init_weights():
        model = class_named(encoder.architecture)(class_named(encoder.config)(**keywords))
    files, shapes = saved(model)
    config = files["config.json"]
    if config.get("use_bidirectional_attention"):
        config["sliding_window"] = keywords["sliding_window"]  # 4.57.1 halves it when it reads a file, and writes the half
    return config, {tensor: [*spread(encoder, tensor, shape), *shape] for tensor, shape in sorted(shapes.items())}


def load(folder, dtype=torch.float32):
    """Every tensor of the model must come from the folder."""
    architecture = json.loads((Path(folder) / "config.json").read_text())["architectures"][0]
    model, info = class_named(architecture).from_pretrained(folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    wrong = {kind: names for kind, names in info.items() if names}
    if wrong:
        raise ValueError(f"{folder}: {wrong}")
    return model.eval()


def inputs(config, ids, types):
    given = {"input_ids": torch.tensor([ids])}
    if config.get("type_vocab_size", 0) > 1:
        given["token_type_ids"] = torch.tensor([types])
    return given


def states(model, given):
    """The last layer's, [tokens, hidden]."""
    return model.base_model(**given).last_hidden_state[0]


def logits(model, given):
    return model(**given).logits[0]
