#!/usr/bin/env python3
"""Random checkpoints: of the architectures that configs/rag.yaml needs beside its two real models, and all of configs/breadth.yaml.

    random_models.py MODELS WORDPIECE_FOLDER
    random_models.py MODELS --suite breadth

The first writes MODELS/rag-*: small models whose weights are drawn from a normal distribution. Those of BERT's kind take the
tokenizer of WORDPIECE_FOLDER (all-MiniLM-L6-v2); the others have one piece a character. Needs numpy.

The second writes MODELS/breadth-*, thirteen models of 0.1 to 1.9 MB with a token a byte or a letter, the same numbers everywhere:
eight decoders, a ModernBERT and a DeBERTa as tests/support drew them for its goldens, with room for longer texts, a BERT, a T5 and
a UMT5.
"""
import argparse
import json
import shutil
import sys
from pathlib import Path

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

GOLDENS = Path(__file__).resolve().parents[1] / "tests/data/goldens"
LONGEST = 2048  # tokens: an example of demo/facts.yaml has some 800 bytes
BREADTH_DECODERS = {  # the golden whose configuration each has; the last two have experts
    "breadth-gemma3": "gemma3-1", "breadth-olmo3": "olmo3-0", "breadth-cohere2": "cohere2-1", "breadth-gpt2": "gpt2-0", "breadth-granite": "granite-0",
    "breadth-gpt-neox": "gpt_neox-1", "breadth-qwen3-moe": "qwen3_moe-1", "breadth-gpt-oss": "gpt_oss-1"}
BREADTH_ENCODERS = {"breadth-modernbert": "modernbert-0", "breadth-deberta": "deberta_v2_labels-0"}  # without learned positions
BREADTH_BERT = {**tiny_models.ENCODER_SIZES, "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 96, "intermediate_size": 256,
                "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0}
BREADTH_T5 = {**tiny_models.T5_SIZES, "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 96, "d_kv": 16, "d_ff": 192, "num_heads": 6,
              "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BREADTH_UMT5 = {**BREADTH_T5, "architectures": ["UMT5ForConditionalGeneration"], "model_type": "umt5", "d_model": 64, "d_ff": 128, "num_heads": 4, "num_layers": 3}


def pairs_of_roberta(tokenizer):
    """<s> A </s></s> B </s>, as XLM-R's own files have it."""
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": text, "type_id": 0}} for text in "AB")
    special = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("<s>", 3), ("</s>", 1))}
    return {**tokenizer, "post_processor": {"type": "TemplateProcessing", "single": [begin, first, end],
                                            "pair": [begin, first, end, end, second, end], "special_tokens": special}}


def write_safetensors(path, shapes, bfloat16=False):
    import numpy as np

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


def write_rag(folder, name, word_piece):
    architecture, sizes = MODELS[name]
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


def write_decoder(folder, golden):
    """With room for texts of LONGEST tokens: learned positions get as many rows."""
    config, tensors = golden["config"], golden["tensors"]
    if "n_positions" in config:
        config = {**config, "n_positions": LONGEST}
        tensors = {name: [mean, half, LONGEST, *shape[1:]] if name.endswith("wpe.weight") else [mean, half, *shape] for name, (mean, half, *shape) in tensors.items()}
    else:
        config = {**config, "max_position_embeddings": LONGEST}
    tiny_models.write_family(folder, golden["key"], config, tensors)


def write_encoder(folder, golden):
    tiny_models.write_encoder_family(folder, golden["key"], {**golden["config"], "max_position_embeddings": 512}, golden["tensors"])


def write_bert_or_t5(folder, name):
    """A BERT or a T5 whose products neither vanish nor grow. A UMT5 reads the end of a text: an example of demo/facts.yaml is long."""
    if name == "breadth-bert":
        config, tokenizer, more = BREADTH_BERT, tiny_models.word_piece(), {"model_max_length": 512}
        shapes = tiny_models.encoder_shapes(config["architectures"][0], config)
    else:
        umt5 = name == "breadth-umt5"
        config, tokenizer, more = BREADTH_UMT5 if umt5 else BREADTH_T5, tiny_models.unigram(), {"eos_token": "</s>", "model_max_length": 128 if umt5 else 1024}
        shapes = tiny_models.t5_shapes(config)
    tensors = {}
    for tensor, shape in shapes.items():
        is_norm = "norm" in tensor.lower() and tensor.endswith("weight")
        tensors[tensor] = [float(is_norm), 0.25 if len(shape) == 1 else round((3 / shape[-1]) ** 0.5, 4), *shape]
    tiny_models.write_family(folder, name, config, tensors)
    (folder / "generation_config.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **more}))


def write_rag_suite(root, word_piece):
    for name in MODELS:
        write_whole(root, name, lambda folder, name=name: write_rag(folder, name, word_piece))


def write_breadth_suite(root):
    for file, names, write in (("family_goldens", BREADTH_DECODERS, write_decoder), ("encoder_family_goldens", BREADTH_ENCODERS, write_encoder)):
        goldens = json.loads((GOLDENS / f"{file}.json").read_text())["models"]
        for name, golden in names.items():
            write_whole(root, name, lambda folder, write=write, golden=goldens[golden]: write(folder, golden))
    for name in ("breadth-bert", "breadth-t5", "breadth-umt5"):
        write_whole(root, name, lambda folder, name=name: write_bert_or_t5(folder, name))


def write_whole(root, name, write):
    """write(folder), under another name until all of it is there."""
    folder = root / f"{name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    write(folder)
    shutil.rmtree(root / name, ignore_errors=True)
    folder.rename(root / name)
    print(f"random_models: {root / name} ({json.loads((root / name / 'config.json').read_text())['architectures'][0]})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="the folder that gets a folder for each model")
    parser.add_argument("word_piece", type=Path, nargs="?", help="a folder with the tokenizer of BERT's kind; for rag alone")
    parser.add_argument("--suite", choices=("rag", "breadth"), default="rag")
    options = parser.parse_args()
    if (options.suite == "rag") != (options.word_piece is not None):
        parser.error("WORDPIECE_FOLDER is needed for rag, and read for nothing else")
    if options.suite == "rag":
        write_rag_suite(options.models, options.word_piece)
    else:
        write_breadth_suite(options.models)


if __name__ == "__main__":
    main()
