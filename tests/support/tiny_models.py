#!/usr/bin/env python3
"""Writes tiny models of every family, for tests: weights by a formula, a byte-level tokenizer without merges.

    tiny_models.py FOLDER

Used by the process tests, by the C++ tests of the decoder, and by tests/oracle/make_decoder_goldens.py, so that all three
see the same numbers. Standard library only.
"""
import json
import math
import struct
import sys
from pathlib import Path

SIZES = {"vocab_size": 258, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
         "hidden_act": "silu", "bos_token_id": 256, "eos_token_id": 257, "torch_dtype": "float32"}
FAMILIES = {
    "llama": ("LlamaForCausalLM", {"tie_word_embeddings": False}),
    "llama_tied_linear": ("LlamaForCausalLM", {"tie_word_embeddings": True, "rope_scaling": {"type": "linear", "factor": 2.0}}),
    "llama_biases_llama3": ("LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True, "head_dim": 16, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
    "mistral_window": ("MistralForCausalLM", {"sliding_window": 5, "tie_word_embeddings": False}),
    "qwen2_window": ("Qwen2ForCausalLM", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 12, "tie_word_embeddings": True, "attention_bias": False}),
}


def byte_characters():
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    table, extra = {}, 256
    for byte in range(256):
        table[byte] = chr(byte) if byte in printable else chr(extra)
        extra += byte not in printable
    return table


def tokenizer():
    added = [{"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, c in ((256, "<s>"), (257, "</s>"))]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "vocab": {c: b for b, c in byte_characters().items()}, "merges": [], "unk_token": None}}


def shapes(name, changes):
    architecture, more = FAMILIES[name]
    c = {**SIZES, **more, **changes}
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    dim = c.get("head_dim", hidden // c["num_attention_heads"])
    q, kv = dim * c["num_attention_heads"], dim * c["num_key_value_heads"]
    qkv_bias = c.get("attention_bias", architecture == "Qwen2ForCausalLM")
    out = {"model.embed_tokens.weight": [c["vocab_size"], hidden], "model.norm.weight": [hidden]}
    if not c["tie_word_embeddings"] if "tie_word_embeddings" in c else True:
        out["lm_head.weight"] = [c["vocab_size"], hidden]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        linears = {"self_attn.q_proj": (q, hidden, qkv_bias), "self_attn.k_proj": (kv, hidden, qkv_bias), "self_attn.v_proj": (kv, hidden, qkv_bias),
                   "self_attn.o_proj": (hidden, q, c.get("attention_bias", False)), "mlp.gate_proj": (inner, hidden, c.get("mlp_bias", False)),
                   "mlp.up_proj": (inner, hidden, c.get("mlp_bias", False)), "mlp.down_proj": (hidden, inner, c.get("mlp_bias", False))}
        for linear, (rows, columns, bias) in linears.items():
            out[f"{at}{linear}.weight"] = [rows, columns]
            if bias:
                out[f"{at}{linear}.bias"] = [rows]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            out[f"{at}{norm}.weight"] = [hidden]
        if architecture == "Qwen3ForCausalLM":
            for norm in ("q_norm", "k_norm"):
                out[f"{at}self_attn.{norm}.weight"] = [dim]
    return out


def values(index, name, shape):
    """Deterministic, spread out; norms near one."""
    count = math.prod(shape)
    scale, shift = (0.1, 1.0) if "norm" in name else (0.25, 0.0)
    return [shift + scale * math.sin(1.0 + 12.9898 * i + 78.233 * index) for i in range(count)]


def safetensors(tensors):
    header, data = {}, b""
    for name, (shape, numbers) in tensors.items():
        raw = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_model(folder, name, **changes):
    """One model folder; `changes` go to config.json."""
    architecture, more = FAMILIES[name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": [architecture], **SIZES, **more, **changes}
    tensors = {tensor: (shape, values(i, tensor, shape)) for i, (tensor, shape) in enumerate(sorted(shapes(name, changes).items()))}
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    for file, content in {"config.json": config, "generation_config.json": {"eos_token_id": 257}, "tokenizer.json": tokenizer(),
                          "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}}.items():
        (folder / file).write_text(json.dumps(content))
    return folder


ENCODERS = {
    "bert": ("BertModel", {"pad_token_id": 0, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12}),
    "roberta": ("RobertaModel", {"pad_token_id": 1, "max_position_embeddings": 66, "type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "bert_pairs": ("BertForSequenceClassification", {"pad_token_id": 0, "max_position_embeddings": 64, "type_vocab_size": 2, "id2label": {"0": "LABEL_0"},
                                                     "label2id": {"LABEL_0": 0}, "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
    "colbert": ("HF_ColBERT", {"pad_token_id": 0, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12}),
    "roberta_pairs": ("RobertaForSequenceClassification", {"pad_token_id": 1, "max_position_embeddings": 66, "type_vocab_size": 1, "layer_norm_eps": 1e-5}),
}
ENCODER_SIZES = {"vocab_size": 258, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu",
                 "torch_dtype": "float32"}
COLBERT_WIDTH = 16
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_piece():
    """Letter by letter, as BERT's own files are written."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocab = {token: i for i, token in enumerate(specials + list(LETTERS + "0123456789.,-") + [f"##{c}" for c in LETTERS + "0123456789"] + ["[MASK]", "[unused0]", "[unused1]", ":"])}
    special = {token: {"id": token, "ids": [vocab[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    text, cls, sep = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
    pair = [cls, text, sep, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    added = [{"id": vocab[c], "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for c in specials]
    return {"version": "1.0", "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "post_processor": {"type": "TemplateProcessing", "single": [cls, text, sep], "pair": pair, "special_tokens": special},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}}


def encoder_shapes(architecture, config):
    """Names as the architecture has them; a classification head has as many rows as id2label, or 2."""
    hidden = config["hidden_size"]
    body = encoder_body_shapes(config)
    if architecture == "HF_ColBERT":
        return {**{"bert." + name: shape for name, shape in body.items()}, "linear.weight": [COLBERT_WIDTH, hidden]}
    if "Classification" not in architecture:
        return body
    bert, labels = architecture.startswith("Bert"), len(config.get("id2label", "ab"))
    out = {("bert." if bert else "roberta.") + name: shape for name, shape in body.items()}
    for name, rows in ((("bert.pooler.dense", hidden), ("classifier", labels)) if bert else (("classifier.dense", hidden), ("classifier.out_proj", labels))):
        out[f"{name}.weight"], out[f"{name}.bias"] = [rows, hidden], [rows]
    return out


def encoder_body_shapes(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    out = {"embeddings.word_embeddings.weight": [config["vocab_size"], hidden], "embeddings.position_embeddings.weight": [config["max_position_embeddings"], hidden],
           "embeddings.token_type_embeddings.weight": [config["type_vocab_size"], hidden], "embeddings.LayerNorm.weight": [hidden], "embeddings.LayerNorm.bias": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        for linear, rows, columns in (("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden), ("attention.self.value", hidden, hidden),
                                      ("attention.output.dense", hidden, hidden), ("intermediate.dense", inner, hidden), ("output.dense", hidden, inner)):
            out[f"{at}{linear}.weight"], out[f"{at}{linear}.bias"] = [rows, columns], [rows]
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            out[f"{at}{norm}.weight"], out[f"{at}{norm}.bias"] = [hidden], [hidden]
    return out


def write_encoder(folder, name):
    """bert: a sentence-transformers folder (first token, normalised, prompts); roberta: a plain one (mean); the others read pairs."""
    architecture, more = ENCODERS[name]
    folder = Path(folder)
    config = {"architectures": [architecture], "model_type": name.split("_")[0], **ENCODER_SIZES, **more}
    files = {"config.json": config, "tokenizer.json": word_piece() if name.startswith(("bert", "colbert")) else
             {**tokenizer(), "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 257], "cls": ["<s>", 256], "trim_offsets": True, "add_prefix_space": False}}}
    if name == "bert":
        files.update({"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                                       {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                                       {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}],
                      "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
                      "sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": False},
                      "config_sentence_transformers.json": {"prompts": {"query": "ask "}, "default_prompt_name": None}})
    if name == "colbert":
        files["artifact.metadata"] = {"dim": COLBERT_WIDTH, "query_maxlen": 24, "doc_maxlen": 48, "mask_punctuation": True, "attend_to_mask_tokens": False,
                                      "query_token_id": "[unused0]", "doc_token_id": "[unused1]", "similarity": "cosine"}
    tensors = {tensor: (shape, values(i, tensor.replace("LayerNorm.weight", "norm"), shape)) for i, (tensor, shape) in enumerate(sorted(encoder_shapes(architecture, config).items()))}
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    return folder


T5_SIZES = {"vocab_size": 128, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 20, "layer_norm_epsilon": 1e-6, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "torch_dtype": "float32"}
T5S = {
    "t5": ("T5ForConditionalGeneration", {"model_type": "t5", "feed_forward_proj": "relu", "tie_word_embeddings": True}),
    "mt5": ("MT5ForConditionalGeneration", {"model_type": "mt5", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "enc_t5": ("EncT5ForSequenceClassification", {"model_type": "t5", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_labels": 2}),
}


def unigram():
    """Letter by letter, and the words that the rerankers look for; as T5's own files are written."""
    pieces = ["<pad>", "</s>", "<unk>", "<s>", "▁true", "▁false", "▁yes", "▁no", "▁"] + [chr(c) for c in range(33, 127)]
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}
    added = [{"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i in range(4)]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": space, "decoder": space,
            "post_processor": {"type": "TemplateProcessing", "single": [first, end], "pair": [first, end, second, end],
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
            "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": False, "vocab": [[piece, 0.0 if i < 4 else -1.0 - 0.01 * i] for i, piece in enumerate(pieces)]}}


def t5_shapes(config):
    hidden, inner, width = config["d_model"], config["d_ff"], config["num_heads"] * config["d_kv"]
    out = {"shared.weight": [config["vocab_size"], hidden]}
    decoder = config["architectures"][0] != "EncT5ForSequenceClassification"
    for stack, layers in (("encoder", config["num_layers"]), ("decoder", config["num_decoder_layers"]))[: 2 if decoder else 1]:
        out[f"{stack}.final_layer_norm.weight"] = [hidden]
        out[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = [config["relative_attention_num_buckets"], config["num_heads"]]
        for layer in range(layers):
            parts = ["SelfAttention", "EncDecAttention"] if stack == "decoder" else ["SelfAttention"]
            for i, part in enumerate(parts + ["DenseReluDense"]):
                at = f"{stack}.block.{layer}.layer.{i}."
                out[f"{at}layer_norm.weight"] = [hidden]
                if part == "DenseReluDense":
                    for name in (("wi_0", "wi_1") if config["feed_forward_proj"].startswith("gated") else ("wi",)):
                        out[f"{at}{part}.{name}.weight"] = [inner, hidden]
                    out[f"{at}{part}.wo.weight"] = [hidden, inner]
                    continue
                for name in "qkv":
                    out[f"{at}{part}.{name}.weight"] = [width, hidden]
                out[f"{at}{part}.o.weight"] = [hidden, width]
    if not decoder:
        out["classifier.weight"], out["classifier.bias"] = [config["num_labels"], hidden], [config["num_labels"]]
    elif not config["tie_word_embeddings"]:
        out["lm_head.weight"] = [config["vocab_size"], hidden]
    return out


def write_t5(folder, name):
    architecture, more = T5S[name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": [architecture], **T5_SIZES, **more}
    tensors = {tensor: (shape, values(i, tensor, shape)) for i, (tensor, shape) in enumerate(sorted(t5_shapes(config).items()))}
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    for file, content in {"config.json": config, "tokenizer.json": unigram(),
                          "tokenizer_config.json": {"tokenizer_class": "T5TokenizerFast", "eos_token": "</s>", "model_max_length": 64}}.items():
        (folder / file).write_text(json.dumps(content))
    return folder


def main(root):
    for name in T5S:
        write_t5(Path(root) / name, name)
    for name in ENCODERS:
        write_encoder(Path(root) / name, name)
    write_model(Path(root) / "llama_long", "llama", max_position_embeddings=4096)
    for name in FAMILIES:
        write_model(Path(root) / name, name)
        for kv_heads in (1, 2, 12):  # for tensor parallelism: 12 heads go into 2, 3 and 4 shares, so do 48 feed-forward rows
            write_model(Path(root) / f"{name}-kv{kv_heads}", name, num_attention_heads=12, num_key_value_heads=kv_heads, head_dim=4)


if __name__ == "__main__":
    main(sys.argv[1])
