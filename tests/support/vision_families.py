"""Random tiny configurations of every image-text family, for comparisons with transformers.

VISION: name -> VisionFamily. `VisionFamily.draw(dice)`, with the dice of decoder_families.py, gives a Drawn: the keywords of the
transformers configuration class, whose text model is a family of decoder_families.py, and the files beside the weights. Standard
library only; tests/oracle/vision_models.py builds the models.

The numbers are those of transformers 4.57.1 with two corrections, which tests/oracle/vision_models.py names. Left out: feature
layers of InternVL other than the last, for which 4.57.1 has no code; images of several frames.
"""
import json
from dataclasses import dataclass
from typing import Callable

from decoder_families import FAMILIES, spread as text_spread
from tiny_models import tokenizer

CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
HALF = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
LANCZOS, BILINEAR, BICUBIC = 1, 2, 3
TEMPLATE = ("{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %}\n"
            "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")


@dataclass(frozen=True)
class Drawn:
    keywords: dict
    files: dict  # name -> content, a text or what is written as JSON
    image: str  # what stands for an image in a prompt, as the chat template writes it
    options: dict  # of proctor's module: image
    borders: list  # pixels: sides about which an image is cut in another way
    tallest: float = 1000  # height / width, past which torch's own arithmetic is at fault: resizing to the width 1 in float32
    flat: bool = False  # config.json has the text model's keys at the top, as published Qwen2-VLs have


@dataclass(frozen=True)
class VisionFamily:
    architecture: str
    config: str  # of transformers: the class's name
    draw: Callable
    text: str = "llama"  # the family of decoder_families.py whose tensors the text model's are like


VISION: dict[str, VisionFamily] = {}


def vision(name, architecture, config, **more):
    def add(draw):
        VISION[name] = VisionFamily(architecture, config, draw, **more)
        return draw

    return add


def specials_of(d, tokens, padded=True):
    """(name -> id behind the bytes, the vocabulary's size)"""
    ids = {token: 256 + i for i, token in enumerate(tokens)}
    return ids, 256 + len(tokens) + (d.randint(0, 20) if padded else 0)


def tokenizer_files(ids, begin, end, attributes=None):
    """`begin`: put before each text, unless None. `attributes`: of the tokenizer, by which a processor finds its tokens."""
    made = tokenizer()
    made["added_tokens"] = [{**made["added_tokens"][0], "id": i, "content": token} for token, i in ids.items()]
    if begin:
        made["post_processor"] = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                                  "pair": [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                                  "special_tokens": {begin: {"id": begin, "ids": [ids[begin]], "tokens": [begin]}}}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"], "eos_token": end, "pad_token": next(iter(ids)),
                **({"bos_token": begin} if begin else {}), **({"extra_special_tokens": attributes} if attributes else {})}
    return {"tokenizer.json": made, "tokenizer_config.json": settings, "generation_config.json": {"eos_token_id": ids[end], "pad_token_id": 256}}


def text_model(d, name, vocabulary, **more):
    """Keywords of a decoder family, with room for images."""
    c = FAMILIES[name].keywords(d)
    return {**c, "vocab_size": vocabulary, "max_position_embeddings": d.choice([4096, 5000, 8192]), "bos_token_id": None, "eos_token_id": 257, "pad_token_id": 256, **more}


def choose_processor(d, always_fast=False):
    """(proctor's choice, whether the file's class ends with Fast, whether the fast one computes)"""
    choice, says_fast = d.option("auto", "slow", "fast"), d.option(False, True)
    return choice, says_fast, choice == "fast" or choice == "auto" and (says_fast or always_fast)


def pixels(d, name, says_fast, fast, usual=CLIP, resample=BICUBIC, any_filter=False, **more):
    """preprocessor_config.json. Fast processors have no Lanczos filter, or take another one for it (`any_filter`)."""
    mean, deviation = d.option(usual, CLIP, HALF, ([0.3, 0.5, 0.6], [0.2, 0.3, 0.25]))
    filters = [resample, LANCZOS, BILINEAR, BICUBIC] if any_filter or not fast else [resample, BILINEAR, BICUBIC]
    return {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": mean, "image_std": deviation,
            "image_processor_type": name + ("Fast" if says_fast else ""), "resample": d.option(*filters),
            "rescale_factor": d.option(1 / 255, 1 / 255, 1 / 255, 1 / 200), **more}


def tower(d, act, **more):
    """Keywords of a vision_config, with any number of heads."""
    heads, dim = d.option(2, 1, 3, 5), d.option(8, 6, 10, 12)
    out = {"hidden_size": heads * dim, "num_attention_heads": heads, "intermediate_size": d.randint(20, 70), "num_hidden_layers": d.option(3, 2, 4),
           "hidden_act": d.option(act, "gelu", "quick_gelu", "gelu_pytorch_tanh"), "layer_norm_eps": d.option(1e-6, 1e-5, 1e-3)}
    return {**out, **more}


def tile(d, grid):
    """(side, patch) of a tile of grid x grid patches, behind which some pixels may be left over. A side of 4 pixels would be taken for
    channels (SmolVLM's processor)."""
    patch = d.option(8, 4, 6, 7, 10) if grid > 1 else d.option(8, 10)
    return grid * patch + d.option(0, d.randint(1, patch - 1)), patch


def layers_taken(d, usual):
    return d.option(usual, -1, -2, [-2, -1], [0, -1], 1, -3)


def clip_or_siglip(d, kind, side, patch):
    name = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}[kind]
    more = {"projection_dim": 16} if kind == "clip" else {"vision_use_head": False}
    return tower(d, "quick_gelu" if kind == "clip" else "gelu_pytorch_tanh", model_type=name, image_size=side, patch_size=patch, **more)


def llava_text(d, names, vocabulary):
    name = d.option(*names)
    return {"model_type": name, **text_model(d, name, vocabulary)}


def llava_tokens(d):
    ids, vocabulary = specials_of(d, ["<pad>", "</s>", "<s>", "<image>"])
    return ids, vocabulary, tokenizer_files(ids, d.option("<s>", None), "</s>", {"image_token": "<image>"})


def about(sides):
    return sorted({max(1, side + off) for side in sides for off in (-1, 0, 1)})


def upright(d):
    return d.option({}, {"upright": True})


def draw_llava(d, kind):
    choice, says_fast, fast = choose_processor(d)
    side, patch = tile(d, d.option(4, 3, 5))
    ids, vocabulary, files = llava_tokens(d)
    strategy = "full" if kind == "siglip" else d.option("default", "full")
    keywords = {"vision_config": clip_or_siglip(d, kind, side, patch), "text_config": llava_text(d, ["llama", "mistral", "qwen2"], vocabulary), "image_token_index": ids["<image>"],
                "vision_feature_layer": layers_taken(d, -2), "vision_feature_select_strategy": strategy, "image_seq_length": (side // patch) ** 2,
                "projector_hidden_act": d.option("gelu", "gelu_pytorch_tanh", "silu"), "multimodal_projector_bias": d.option(True, False)}
    shorter = side + d.option(0, 3, 10)
    sizes = {"size": {"shortest_edge": shorter}, "do_center_crop": True, "crop_size": {"height": side, "width": side}} if kind == "clip" else {"size": {"height": side, "width": side}}
    files["preprocessor_config.json"] = pixels(d, {"clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}[kind], says_fast, fast, CLIP if kind == "clip" else HALF, **sizes)
    files["processor_config.json"] = {"processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": patch, "vision_feature_select_strategy": strategy,
                                      "num_additional_image_tokens": 1 if kind == "clip" else 0}
    return Drawn(keywords, files, "<image>", {"processor": choice, **upright(d)}, about([side, shorter, 2 * side]))


@vision("llava", "LlavaForConditionalGeneration", "LlavaConfig")
def llava(d):
    return draw_llava(d, "clip")


@vision("llava_siglip", "LlavaForConditionalGeneration", "LlavaConfig")
def llava_siglip(d):
    return draw_llava(d, "siglip")


@vision("llava_next", "LlavaNextForConditionalGeneration", "LlavaNextConfig")
def llava_next(d):
    choice, says_fast, fast = choose_processor(d)
    side, patch = tile(d, d.option(4, 3, 5))
    ids, vocabulary, files = llava_tokens(d)
    kind = d.option("clip", "clip", "siglip")
    strategy = {"clip": "default", "siglip": "full"}[kind]
    grids = d.option([[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]], d.sample([[y, x] for y in range(1, 4) for x in range(1, 4)], d.randint(1, 6)))
    pinpoints = [[y * side, x * side] for y, x in grids]
    keywords = {"vision_config": clip_or_siglip(d, kind, side, patch), "text_config": llava_text(d, ["mistral", "llama", "qwen2"], vocabulary), "image_token_index": ids["<image>"],
                "vision_feature_layer": layers_taken(d, -2), "vision_feature_select_strategy": strategy, "image_grid_pinpoints": pinpoints,
                "image_seq_length": (side // patch) ** 2, "projector_hidden_act": d.option("gelu", "silu"), "multimodal_projector_bias": d.option(True, False)}
    files["preprocessor_config.json"] = pixels(d, "LlavaNextImageProcessor", says_fast, fast, size=d.option({"shortest_edge": side}, {"height": side, "width": side}),
                                               do_center_crop=True, crop_size={"height": side, "width": side}, do_pad=True, image_grid_pinpoints=pinpoints)
    files["processor_config.json"] = {"processor_class": "LlavaNextProcessor", "image_token": "<image>", "patch_size": patch, "vision_feature_select_strategy": strategy,
                                      "num_additional_image_tokens": 1 if kind == "clip" else 0}
    return Drawn(keywords, files, "<image>", {"processor": choice, **upright(d)}, about([side, 2 * side, 3 * side]))


@vision("llava_onevision", "LlavaOnevisionForConditionalGeneration", "LlavaOnevisionConfig")
def llava_onevision(d):
    choice, says_fast, fast = choose_processor(d)
    side, patch = tile(d, d.option(4, 3, 5))
    ids, vocabulary = specials_of(d, ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<image>", "<video>"])
    files = tokenizer_files(ids, None, "<|im_end|>", {"image_token": "<image>", "video_token": "<video>"})
    most = d.option(4, 3)
    grids = [[y, x] for y in range(1, most + 1) for x in range(1, most + 1)]
    pinpoints = [[y * side, x * side] for y, x in d.option(grids, d.sample(grids, 5))]
    ratio = f"anyres_max_{d.option(9, 4, 2)}"
    keywords = {"vision_config": clip_or_siglip(d, "siglip", side, patch), "text_config": llava_text(d, ["qwen2", "qwen2"], vocabulary), "image_token_index": ids["<image>"],
                "video_token_index": ids["<video>"], "vision_feature_layer": d.option(-1, -1, -2, [0, -1]), "vision_feature_select_strategy": "full",
                "vision_aspect_ratio": ratio, "image_grid_pinpoints": pinpoints, "projector_hidden_act": d.option("gelu", "silu"), "multimodal_projector_bias": d.option(True, False)}
    files["preprocessor_config.json"] = pixels(d, "LlavaOnevisionImageProcessor", says_fast, fast, size={"height": side, "width": side}, do_pad=True, image_grid_pinpoints=pinpoints)
    files["processor_config.json"] = {"processor_class": "LlavaOnevisionProcessor", "image_token": "<image>", "video_token": "<video>", "num_image_tokens": (side // patch) ** 2,
                                      "vision_feature_select_strategy": "full", "vision_aspect_ratio": ratio}
    files["video_preprocessor_config.json"] = {"video_processor_type": "LlavaOnevisionVideoProcessor"}
    return Drawn(keywords, files, "<image>", {"processor": choice, **upright(d)}, about([side, 2 * side, 3 * side, 4 * side]))


def sections(d, half):
    """Temporal, height, width: of half a head's frequencies, each at least one."""
    first = d.randint(1, half - 2)
    second = d.randint(1, half - first - 1)
    return [first, second, half - first - second]


def draw_qwen(d, name, text, tower_keywords, patch):
    """What the three Qwen-VLs have in common. text: of text_config."""
    choice, says_fast, fast = choose_processor(d, always_fast=True)
    merge, frames = tower_keywords["spatial_merge_size"], tower_keywords["temporal_patch_size"]
    unit = (merge * patch) ** 2
    least, most = unit * d.randint(1, 6), unit * d.randint(20, 90)
    bounds = {"min_pixels": least, "max_pixels": most}
    size = {"size": {"shortest_edge": least, "longest_edge": most}}
    changed = d.option({}, {"min_pixels": unit * d.randint(4, 9), "max_pixels": unit * d.randint(12, 40)})
    ids, vocabulary = specials_of(d, ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"])
    files = tokenizer_files(ids, None, "<|im_end|>")
    files["preprocessor_config.json"] = pixels(d, "Qwen2VLImageProcessor", says_fast, fast, patch_size=patch, merge_size=merge, temporal_patch_size=frames,
                                               **(d.option(bounds, size, {**bounds, **size}) if fast else bounds))
    files["preprocessor_config.json"]["processor_class"] = f"{name}Processor"
    files["video_preprocessor_config.json"] = {"video_processor_type": "Qwen3VLVideoProcessor" if name == "Qwen3VL" else "Qwen2VLVideoProcessor", "patch_size": patch,
                                               "temporal_patch_size": frames, "merge_size": merge}
    keywords = {"text_config": {**text, "vocab_size": vocabulary}, "vision_config": tower_keywords, "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
                "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"]}
    step = merge * patch
    return Drawn(keywords, files, "<|vision_start|><|image_pad|><|vision_end|>", {"processor": choice, **changed, **upright(d)}, about([step // 2, step, 3 * step // 2, 5 * step // 2, 9 * step]),
                 flat=name != "Qwen3VL" and d.option(True, False))


def qwen_tower(d, **more):
    heads = d.option(2, 1, 3)
    return {"depth": d.option(2, 3, 4), "num_heads": heads, "patch_size": d.option(4, 5, 6, 8), "spatial_merge_size": d.option(2, 2, 2, 1, 3), "temporal_patch_size": d.option(2, 2, 1), **more}


def qwen2_text(d):
    c = text_model(d, "qwen2", 300)
    heads = c["num_attention_heads"]
    dim = max(6, c["hidden_size"] // heads)
    return {**c, "hidden_size": heads * dim, "rope_scaling": {"type": "mrope", "mrope_section": sections(d, dim // 2)}}


@vision("qwen2_vl", "Qwen2VLForConditionalGeneration", "Qwen2VLConfig", text="qwen2")
def qwen2_vl(d):
    text = qwen2_text(d)
    c = qwen_tower(d, hidden_size=text["hidden_size"], mlp_ratio=d.option(4, 2, 3), hidden_act=d.option("quick_gelu", "gelu"))
    c["embed_dim"] = c["num_heads"] * d.option(8, 4, 12, 16)
    return draw_qwen(d, "Qwen2VL", text, c, c["patch_size"])


@vision("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLConfig", text="qwen2")
def qwen2_5_vl(d):
    text = qwen2_text(d)
    c = qwen_tower(d, out_hidden_size=text["hidden_size"], intermediate_size=d.randint(20, 70), hidden_act=d.option("silu", "gelu"))
    c["hidden_size"] = c["num_heads"] * d.option(8, 4, 12, 16)
    c["window_size"] = c["patch_size"] * c["spatial_merge_size"] * d.option(4, 2, 3, 5) + d.option(0, 1)
    c["fullatt_block_indexes"] = d.option([c["depth"] - 1], [0], [], list(range(c["depth"])))
    return draw_qwen(d, "Qwen2_5_VL", text, c, c["patch_size"])


@vision("qwen3_vl", "Qwen3VLForConditionalGeneration", "Qwen3VLConfig", text="qwen3")
def qwen3_vl(d):
    text = {key: value for key, value in text_model(d, "qwen3", 300).items() if "window" not in key}
    half = max(3, text["head_dim"] // 2)
    text |= {"head_dim": 2 * half, "num_hidden_layers": d.option(3, 4), "rope_scaling": {"rope_type": "default", "mrope_section": sections(d, half), "mrope_interleaved": True}}
    c = qwen_tower(d, out_hidden_size=text["hidden_size"], intermediate_size=d.randint(20, 70), hidden_act=d.option("gelu_pytorch_tanh", "gelu"),
                   num_position_embeddings=d.option(6, 3, 5, 9) ** 2)
    c["hidden_size"] = c["num_heads"] * d.option(8, 4, 12, 16)
    c["deepstack_visual_indexes"] = sorted(d.sample(range(c["depth"]), d.randint(1, min(3, c["depth"]))))
    return draw_qwen(d, "Qwen3VL", text, c, c["patch_size"])


def draw_splits(d, name, image_class):
    choice, says_fast, fast = choose_processor(d)
    scale = d.option(2, 1, 3)
    grid = scale * d.option(2, 1, 3)
    side, patch = tile(d, grid)
    longest = d.option(3 * side, 2 * side, 2 * side + 5, side + 1, side)
    tiles = d.option(4, 2)  # rows of a table: what is past it is spelled
    tokens = ["<|endoftext|>", "<end_of_utterance>", "<|im_start|>", "<fake_token_around_image>", "<image>", "<global-img>"]
    ids, vocabulary = specials_of(d, tokens + [f"<row_{y}_col_{x}>" for y in range(1, tiles + 1) for x in range(1, tiles + 1)])
    files = tokenizer_files(ids, None, "<end_of_utterance>")
    text = text_model(d, "llama", vocabulary)
    keywords = {"vision_config": tower(d, "gelu_pytorch_tanh", image_size=side, patch_size=patch), "text_config": {"model_type": "llama", **text}, "image_token_id": ids["<image>"],
                "scale_factor": scale, "pad_token_id": 256, "tie_word_embeddings": text["tie_word_embeddings"]}
    files["preprocessor_config.json"] = pixels(d, image_class, says_fast, fast, HALF, LANCZOS, any_filter=True, size={"longest_edge": longest}, max_image_size={"longest_edge": side},
                                               do_pad=True, do_image_splitting=d.option(True, True, True, False))
    files["processor_config.json"] = {"processor_class": f"{name}Processor", "image_seq_len": (grid // scale) ** 2}
    if name == "SmolVLM":
        files["video_preprocessor_config.json"] = {"video_processor_type": "SmolVLMVideoProcessor"}
    return Drawn(keywords, files, "<image>", {"processor": choice, **upright(d)}, about([side, longest, longest // 2]), tallest=longest)


@vision("idefics3", "Idefics3ForConditionalGeneration", "Idefics3Config")
def idefics3(d):
    return draw_splits(d, "Idefics3", "Idefics3ImageProcessor")


@vision("smolvlm", "SmolVLMForConditionalGeneration", "SmolVLMConfig")
def smolvlm(d):
    return draw_splits(d, "SmolVLM", "SmolVLMImageProcessor")


@vision("internvl", "InternVLForConditionalGeneration", "InternVLConfig", text="qwen3")
def internvl(d):
    choice, says_fast, fast = choose_processor(d)
    merge = d.option(2, 1, 4)
    grid = merge * d.option(2, 1)
    side, patch = tile(d, grid)
    specials = ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
    ids, vocabulary = specials_of(d, specials)
    files = tokenizer_files(ids, None, "<|im_end|>", {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"})
    tower_keywords = tower(d, "gelu", image_size=[side, side], patch_size=[patch, patch], attention_bias=d.option(True, False), use_qk_norm=d.option(False, True),
                           norm_type=d.option("layer_norm", "rms_norm"), use_mean_pooling=d.option(True, False))
    keywords = {"vision_config": tower_keywords, "text_config": llava_text(d, ["qwen2", "qwen3"], vocabulary), "image_token_id": ids["<IMG_CONTEXT>"],
                "image_seq_length": (grid // merge) ** 2, "downsample_ratio": 1 / merge, "projector_hidden_act": d.option("gelu", "silu")}
    least = d.option(1, 2)
    files["preprocessor_config.json"] = pixels(d, "GotOcr2ImageProcessor", says_fast, fast, size={"height": side, "width": side}, crop_to_patches=d.option(True, False),
                                               min_patches=least, max_patches=least + d.option(5, 1, 3, 9))
    files["processor_config.json"] = {"processor_class": "InternVLProcessor", "image_seq_length": (grid // merge) ** 2}
    files["video_preprocessor_config.json"] = {"video_processor_type": "InternVLVideoProcessor"}
    return Drawn(keywords, files, "<IMG_CONTEXT>", {"processor": choice, **upright(d)}, about([side, 2 * side, 3 * side]))


@vision("gemma3", "Gemma3ForConditionalGeneration", "Gemma3Config", text="gemma3")
def gemma3(d):
    choice, says_fast, fast = choose_processor(d)
    across = d.option(4, 2, 3)
    side, patch = tile(d, across * d.option(2, 1, 3))
    tokens = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    outside = d.option(False, True)  # the image token is past the embedding
    ids, vocabulary = specials_of(d, tokens, padded=not outside)
    files = tokenizer_files(ids, d.option("<bos>", None), "<eos>", {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"})
    text = {**text_model(d, "gemma3", vocabulary - outside), "final_logit_softcapping": None}  # which this architecture passes over
    keywords = {"vision_config": tower(d, "gelu_pytorch_tanh", image_size=side, patch_size=patch, vision_use_head=False), "text_config": text, "mm_tokens_per_image": across**2,
                "boi_token_index": ids["<start_of_image>"], "eoi_token_index": ids["<end_of_image>"], "image_token_index": ids["<image_soft_token>"]}
    files["preprocessor_config.json"] = pixels(d, "Gemma3ImageProcessor", says_fast, fast, HALF, BILINEAR, size={"height": side, "width": side}, do_pan_and_scan=d.option(None, True))
    files["processor_config.json"] = {"processor_class": "Gemma3Processor", "image_seq_length": across**2}
    return Drawn(keywords, files, "<start_of_image>", {"processor": choice, **upright(d)}, about([side, 2 * side]))


def spread(family, name, shape, tied):
    """(mean, half width) of the uniform numbers of a saved tensor, as decoder_families.spread."""
    of_text = any(part in name for part in ("language_model", "text_model", "lm_head")) or name.startswith("model.") and "vision" not in name and "visual" not in name and "connector" not in name
    if of_text:
        return text_spread(FAMILIES[family.text], name, shape, tied)
    if "lambda" in name:
        return 0.7, 0.5
    if name.endswith("mm_soft_emb_norm.weight"):
        return 0.0, 0.5
    if len(shape) > 3 or "position" in name or "pos_embed" in name:  # of patches, whose values are a unit or two
        fan = 1 if len(shape) <= 3 else shape[1] * shape[2] * shape[3] * (shape[4] if len(shape) > 4 else 1)
        return 0.0, round(1.7 / fan**0.5 if fan > 1 else 0.8, 4)
    return text_spread(FAMILIES["llama"], name, shape, False)


def write_files(folder, drawn):
    for name, content in {**drawn.files, "chat_template.jinja": TEMPLATE.replace("IMAGE", drawn.image)}.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
