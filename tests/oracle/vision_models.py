"""Models of tests/support/vision_families.py by transformers: their configuration and saved tensors, a folder loaded, and what it
answers to requests with images. Two corrections of 4.57.1 are made, in which other releases agree: features of a SigLIP tower are
taken before its last norm (huggingface/transformers#40964), and the patches of Idefics3 and SmolVLM count 0, 1, 2, ... (#41190). Slow
processors are told that channels come last: they would else take the rows of an image 1 or 3 pixels high for channels.
"""
import json
from functools import partial

import torch
import transformers
from family_models import ANY, load as load_decoder, made
from PIL import Image, ImageOps
from saved_model import saved

import tiny_models
from decoder_families import Dice
from vision_families import VISION, spread, write_files

NOT_OF_MODEL = ("rows", "cols")
transformers.logging.set_verbosity_error()


def draw(name, seed, share=1):
    """(Drawn, config.json's content, saved tensors as tiny_models.write_family takes them)"""
    family = VISION[name]
    drawn = family.draw(Dice(f"{name} {seed}", ANY, share))
    files, shapes = saved(made(family, drawn.keywords))
    tied = not any(tensor.endswith("lm_head.weight") for tensor in shapes)
    return drawn, published(files["config.json"], drawn, family), {tensor: [*spread(family, tensor, shape, tied), *shape] for tensor, shape in sorted(shapes.items())}


def published(config, drawn, family):
    """As the hub's files have it: the architecture at the top, which 4.57.1 writes elsewhere for some; flat: the text model's keys too."""
    config["text_config"].pop("architectures", None)
    config["architectures"] = [family.architecture]
    if drawn.flat:
        text = config.pop("text_config")
        config = {**{key: value for key, value in text.items() if key != "model_type"}, **config, "rope_scaling": drawn.keywords["text_config"]["rope_scaling"]}
    return config


def write(folder, name, seed, share=1):
    drawn, config, tensors = draw(name, seed, share)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(tiny_models.safetensors(tiny_models.random_tensors(f"{name}-{seed}", tensors)))
    (folder / "config.json").write_text(json.dumps(config))
    write_files(folder, drawn)
    return drawn, config, tensors


def load(folder, dtype=torch.float32, attention="eager"):
    model = load_decoder(folder, attention, dtype)
    inner = model.model
    for tower in (getattr(inner, "vision_tower", None), getattr(inner, "vision_model", None)):
        encoder = getattr(tower, "vision_model", tower)
        if "Llava" in type(model).__name__ and "Siglip" in type(encoder).__name__:
            encoder.post_layernorm = torch.nn.Identity()
        if type(model).__name__.startswith(("Idefics3", "SmolVLM")) and tower is not None:
            encoder.embeddings.forward = lambda pixel_values, patch_attention_mask, of=encoder.embeddings: embed_in_order(of, pixel_values)
    return model


def embed_in_order(embeddings, pixel_values):
    patches = embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
    return patches + embeddings.position_embedding(torch.arange(patches.shape[1]))


class Reader:
    """A folder's own processor, with proctor's options of the module: prompts and images to a model's inputs."""

    def __init__(self, folder, drawn):
        choice, bounds = drawn.options["processor"], {key: value for key, value in drawn.options.items() if key.endswith("_pixels")}
        fast = {} if choice == "auto" else {"use_fast": choice == "fast"}
        self.processor, self.drawn = transformers.AutoProcessor.from_pretrained(folder), drawn
        self.processor.image_processor = transformers.AutoImageProcessor.from_pretrained(folder, **fast, **bounds)
        slow = not type(self.processor.image_processor).__name__.endswith("Fast")
        self.format = {"input_data_format": "channels_last"} if slow else {}
        if slow and hasattr(self.processor.image_processor, "pad"):
            self.processor.image_processor.pad = partial(self.processor.image_processor.pad, **self.format)

    def picture(self, path):
        picture = Image.open(path)
        return (ImageOps.exif_transpose(picture) if self.drawn.options.get("upright") else picture).convert("RGB")

    def inputs(self, request, folder):
        """Without <image> in the text, images come first. Raises what the processor raises."""
        context, images = request["context"], [self.picture(folder / path) for path in request.get("images", [])]
        if "<image>" not in context:
            context = "<image>" * len(images) + context
        text = context.replace("<image>", self.drawn.image)
        made = self.processor(images=images or None, text=text, return_tensors="pt", **(self.format if images else {}))
        return {key: value for key, value in made.items() if key not in NOT_OF_MODEL}

    def tokens(self, text):
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]


class Prompt:
    """A prompt that was computed, behind which texts are tried: the tokens that stand for images are no images there."""

    def __init__(self, model, inputs):
        self.model, self.length = model, inputs["input_ids"].shape[1]
        out = model(**inputs, use_cache=True)
        self.first, self.cache = out.logits[0, -1:].double(), out.past_key_values

    def steps(self, tokens):
        """The logits of each of the tokens and of none behind them, [tokens, vocabulary]. Once only."""
        if len(tokens) < 2:
            return self.first
        end = self.length + len(tokens) - 1
        out = self.model(input_ids=torch.tensor([tokens[:-1]]), past_key_values=self.cache, use_cache=True, cache_position=torch.arange(self.length, end),
                         attention_mask=torch.ones(1, end, dtype=torch.long))
        return torch.cat([self.first, out.logits[0].double()])

    def write(self, count):
        """The greedy text's tokens and their logits. Once only."""
        tokens, rows = [], [self.first]
        while True:
            tokens.append(rows[-1][0].argmax().item())
            if len(tokens) == count:
                return tokens, torch.cat(rows)
            at = self.length + len(tokens) - 1
            out = self.model(input_ids=torch.tensor([tokens[-1:]]), past_key_values=self.cache, use_cache=True, cache_position=torch.tensor([at]),
                             attention_mask=torch.ones(1, at + 1, dtype=torch.long))
            rows.append(out.logits[0].double())
