#!/usr/bin/env python3
"""Convert a Llama GGUF file (SmolLM2's) into a Hugging Face folder: config, tokenizer, float32 safetensors.

    convert_gguf.py FILE.gguf FOLDER

Two things are undone that a plain copy gets wrong: GGUF stores the rows of q and k in interleaved rotary order, and its
tokenizer description leaves out the pre-tokenizer (SmolLM2 splits digits one by one, then byte-level BPE, no BOS).
Needs the packages gguf and numpy.
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

LAYER = {"attn_q.weight": "self_attn.q_proj.weight", "attn_k.weight": "self_attn.k_proj.weight",
         "attn_v.weight": "self_attn.v_proj.weight", "attn_output.weight": "self_attn.o_proj.weight",
         "ffn_gate.weight": "mlp.gate_proj.weight", "ffn_up.weight": "mlp.up_proj.weight",
         "ffn_down.weight": "mlp.down_proj.weight", "attn_norm.weight": "input_layernorm.weight",
         "ffn_norm.weight": "post_attention_layernorm.weight"}
TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def field(reader, key, default=None):
    found = reader.fields.get(key)
    return default if found is None else found.contents()


def hf_name(name):
    if name in TOP:
        return TOP[name]
    _, layer, rest = name.split(".", 2)
    return f"model.layers.{layer}.{LAYER[rest]}"


def half_rotation(rows, heads):
    """Interleaved rotary rows (2i, 2i+1) of each head -> (i, i + head_dim/2)."""
    head_dim = rows.shape[0] // heads
    return rows.reshape(heads, head_dim // 2, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def read_tensors(reader, heads, kv_heads):
    tensors = {}
    for tensor in reader.tensors:
        data = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if tensor.name.endswith("attn_q.weight"):
            data = half_rotation(data, heads)
        if tensor.name.endswith("attn_k.weight"):
            data = half_rotation(data, kv_heads)
        tensors[hf_name(tensor.name)] = np.ascontiguousarray(data)
    return tensors


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(data.shape), "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data in tensors.values():
            file.write(data.tobytes())


def tokenizer_json(tokens, merges, types):
    control = [(i, t) for i, (t, kind) in enumerate(zip(tokens, types)) if kind == 3]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i, t in control],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
            "post_processor": None, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}


def main(source, folder):
    reader, folder = GGUFReader(source), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    heads, kv_heads = field(reader, "llama.attention.head_count"), field(reader, "llama.attention.head_count_kv")
    tokens, merges = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.merges")
    eos, bos = field(reader, "tokenizer.ggml.eos_token_id"), field(reader, "tokenizer.ggml.bos_token_id")
    tensors = read_tensors(reader, heads, kv_heads)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32", "hidden_act": "silu",
              "hidden_size": field(reader, "llama.embedding_length"), "intermediate_size": field(reader, "llama.feed_forward_length"),
              "num_hidden_layers": field(reader, "llama.block_count"), "num_attention_heads": heads, "num_key_value_heads": kv_heads,
              "max_position_embeddings": field(reader, "llama.context_length"), "rope_theta": field(reader, "llama.rope.freq_base", 10000.0),
              "rms_norm_eps": round(field(reader, "llama.attention.layer_norm_rms_epsilon"), 9), "vocab_size": len(tokens),
              "tie_word_embeddings": "lm_head.weight" not in tensors, "bos_token_id": bos, "eos_token_id": eos}
    write_safetensors(folder / "model.safetensors", tensors)
    template = reader.fields.get("tokenizer.chat_template")
    chat = {"chat_template": bytes(template.parts[template.data[0]]).decode()} if template else {}
    texts = {"config.json": config, "generation_config.json": {"bos_token_id": bos, "eos_token_id": eos},
             "tokenizer.json": tokenizer_json(tokens, merges, field(reader, "tokenizer.ggml.token_type")),
             "tokenizer_config.json": {"tokenizer_class": "GPT2TokenizerFast", "bos_token": tokens[bos], "eos_token": tokens[eos],
                                       "clean_up_tokenization_spaces": False, "model_max_length": config["max_position_embeddings"], **chat}}
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
