#!/usr/bin/env python3
"""Random checkpoints of the architectures that configs/rag.yaml needs beside its two real models.

    random_models.py MODELS WORDPIECE_FOLDER

Writes MODELS/rag-*: small models whose weights are drawn from a normal distribution. Those of BERT's kind take the
tokenizer of WORDPIECE_FOLDER (all-MiniLM-L6-v2); the others have one piece a character. Needs numpy.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
import tiny_models  # noqa: E402

ENCODER = {"vocab_size": 30522, "hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 12, "hidden_act": "gelu",
           "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, "torch_dtype": "float32"}
ROBERTA = {**ENCODER, "model_type": "xlm-roberta", "vocab_size": 128, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}
T5 = {**tiny_models.T5_SIZES, "model_type": "t5", "d_model": 256, "d_kv": 32, "d_ff": 1024, "num_layers": 4, "num_decoder_layers": 4, "num_heads": 8,
      "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
ONE_OUTPUT, TWO_OUTPUTS = ({"id2label": {str(i): f"LABEL_{i}" for i in range(count)}} for count in (1, 2))
MODELS = {
    "rag-colbert": ("HF_ColBERT", {**ENCODER, "model_type": "bert"}),
    "rag-bert-1": ("BertForSequenceClassification", {**ENCODER, "model_type": "bert", **ONE_OUTPUT}),
    "rag-bert-2": ("BertForSequenceClassification", {**ENCODER, "model_type": "bert", **TWO_OUTPUTS}),
    "rag-xlm-roberta": ("XLMRobertaForSequenceClassification", {**ROBERTA, **ONE_OUTPUT}),
    "rag-t5": ("T5ForConditionalGeneration", T5),
    "rag-enc-t5": ("EncT5ForSequenceClassification", {**T5, "num_labels": 2}),
}


def pairs_of_roberta(tokenizer):
    """<s> A </s></s> B </s>, as XLM-R's own files have it."""
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": text, "type_id": 0}} for text in "AB")
    special = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("<s>", 3), ("</s>", 1))}
    return {**tokenizer, "post_processor": {"type": "TemplateProcessing", "single": [begin, first, end],
                                            "pair": [begin, first, end, end, second, end], "special_tokens": special}}


def write_safetensors(path, shapes, bfloat16=False):
    draw = np.random.default_rng(1)
    header, offset, arrays = {}, 0, []
    for name, shape in sorted(shapes.items()):
        is_norm = "norm" in name.lower() and name.endswith("weight")
        array = (draw.standard_normal(shape, dtype=np.float32) * 0.05 + float(is_norm)).astype("<f4")
        if bfloat16:
            array = (array.view("<u4") >> 16).astype("<u2")
        header[name] = {"dtype": "BF16" if bfloat16 else "F32", "shape": shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
        arrays.append(array)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(array.tobytes())


def main():
    root, word_piece = Path(sys.argv[1]), Path(sys.argv[2])
    for name, (architecture, sizes) in MODELS.items():
        folder = root / f"{name}.partial"
        folder.mkdir(parents=True, exist_ok=True)
        config = {"architectures": [architecture], **sizes}
        if "d_model" in config:
            shapes = tiny_models.t5_shapes(config)
        else:
            shapes = tiny_models.encoder_shapes(architecture, config)
        (folder / "config.json").write_text(json.dumps(config))
        if config["vocab_size"] == ENCODER["vocab_size"]:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(word_piece / file, folder)
        else:
            tokenizer = tiny_models.unigram()
            (folder / "tokenizer.json").write_text(json.dumps(pairs_of_roberta(tokenizer) if "roberta" in name else tokenizer))
            (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "model_max_length": 512}))
        if name == "rag-colbert":
            (folder / "artifact.metadata").write_text(json.dumps({"dim": tiny_models.COLBERT_WIDTH, "query_maxlen": 32, "doc_maxlen": 220}))
        write_safetensors(folder / "model.safetensors", shapes)
        shutil.rmtree(root / name, ignore_errors=True)
        folder.rename(root / name)
        print(f"random_models: {root / name} ({architecture})")


if __name__ == "__main__":
    main()
