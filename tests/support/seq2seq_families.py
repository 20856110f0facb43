"""Random tiny configurations of every encoder-decoder architecture, for comparisons with lm-eval.

SEQ2SEQS: name -> Seq2Seq, made with the dice of decoder_families.py. Standard library only; tests/oracle/seq2seq_models.py builds
the models.

The numbers are those of transformers 4.57.1 as lm-eval 0.4.13 drives it, which cannot generate where a T5's decoder has more layers
than its encoder. Left out: mBART, and whatever else is refused.
"""
from dataclasses import dataclass
from typing import Callable

PIECES, WORDS = 103, 700  # tokens of tiny_models.unigram() and of tests/data/tokenizers/roberta.json


@dataclass(frozen=True)
class Seq2Seq:
    architecture: str
    config: str  # the configuration class's name
    keywords: Callable
    files: Callable  # of the dice: Files
    tokenizer: str  # unigram: A </s>; bytes: <s> A </s>


@dataclass(frozen=True)
class Files:
    generation: dict | None  # what generation_config.json says beside what transformers saves; None: there is no such file
    config: dict  # the same of config.json
    tokenizer: dict  # tokenizer_config.json


SEQ2SEQS: dict[str, Seq2Seq] = {}


def seq2seq(name, architecture, config, files, tokenizer="unigram"):
    def add(keywords):
        SEQ2SEQS[name] = Seq2Seq(architecture, config, keywords, files, tokenizer)
        return keywords

    return add


def pieces(d, limit, **more):
    """tokenizer_config.json as T5's own files have it; without extra_ids the class would add a hundred tokens that tokenizer.json lacks."""
    return {"tokenizer_class": "T5TokenizerFast", "extra_ids": 0, "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "model_max_length": limit,
            "clean_up_tokenization_spaces": d.option(False, True), **more}


def t5_body(d, **more):
    heads, dim = d.share * d.option(2, 3, 5, 1), d.option(8, 5, 7, 6, 11)
    layers = d.option(3, 2, 4)
    return {"vocab_size": d.option(128, 103, 131, 256), "d_model": d.option(32, 28, 36, 45), "d_kv": dim, "d_ff": d.share * d.randint(24 // d.share, 72 // d.share) | (d.share == 1),
            "num_layers": layers, "num_decoder_layers": d.option(2, 1, layers), "num_heads": heads, "relative_attention_num_buckets": d.option(8, 12, 32),
            "relative_attention_max_distance": d.option(20, 40, 128), "layer_norm_epsilon": d.option(1e-6, 1e-3, 1e-5), "decoder_start_token_id": 0, "pad_token_id": 0,
            "eos_token_id": 1, **more}


def t5_files(d):
    """T5's older name. Where config.json does not say how long texts are, the tokenizer does."""
    return Files(d.option({}, {"min_length": 9}), d.option({}, {"architectures": ["T5WithLMHeadModel"]}), pieces(d, 64))


@seq2seq("t5", "T5ForConditionalGeneration", "T5Config", t5_files)
def t5(d):
    return t5_body(d, feed_forward_proj=d.option("relu", "gelu", "relu"), **d.option({}, {"n_positions": 40}))


def flan_files(d):
    return Files(d.option({}, None), {}, pieces(d, 64))


@seq2seq("flan", "T5ForConditionalGeneration", "T5Config", flan_files)
def flan(d):
    return t5_body(d, feed_forward_proj=d.option("gated-gelu", "gated-silu", "gated-gelu"), tie_word_embeddings=False, n_positions=d.option(48, 56, 37))


def mt5_files(d):
    return Files(d.option({}, {"repetition_penalty": 1.4, "max_new_tokens": 14}), {}, pieces(d, d.option(48, 41)))


@seq2seq("mt5", "MT5ForConditionalGeneration", "MT5Config", mt5_files)
def mt5(d):
    """The start need not be the padding."""
    c = t5_body(d, tie_word_embeddings=d.option(False, True))
    return {**c, "decoder_start_token_id": d.option(0, 3)}


def umt5_files(d):
    return Files(d.option({}, {"eos_token_id": [1, 40], "no_repeat_ngram_size": 3}), {}, pieces(d, d.option(56, 43)))


@seq2seq("umt5", "UMT5ForConditionalGeneration", "UMT5Config", umt5_files)
def umt5(d):
    return t5_body(d, tie_word_embeddings=d.option(False, True))


def bart_body(d, **more):
    width, encoder_heads, decoder_heads = d.option((32, 4, 2), (30, 3, 5), (35, 5, 7), (24, 1, 3)) if d.share == 1 else d.choice([(32, 4, 2), (24, 2, 6), (36, 6, 2)])
    rows = lambda: d.share * d.randint(24 // d.share, 72 // d.share) | (d.share == 1)  # noqa: E731
    return {"vocab_size": d.option(WORDS, WORDS + 4, WORDS + 1), "d_model": width, "encoder_layers": d.option(2, 3, 1), "decoder_layers": d.option(2, 3, 1),
            "encoder_attention_heads": encoder_heads, "decoder_attention_heads": decoder_heads, "encoder_ffn_dim": rows(), "decoder_ffn_dim": rows(),
            "max_position_embeddings": d.choice([40, 48, 57]), "activation_function": d.option("gelu", "relu", "gelu_new", "silu"),
            "scale_embedding": d.option(False, True), **more}


def bytes_settings(**more):
    return {"tokenizer_class": "BartTokenizer", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", **more}


def bart_files(d):
    """As transformers saves it: the last token that fits is </s>."""
    return Files(d.option({}, {"min_length": 8, "no_repeat_ngram_size": 2, "forced_bos_token_id": 0, "forced_eos_token_id": None}), {}, bytes_settings(model_max_length=512))


@seq2seq("bart", "BartForConditionalGeneration", "BartConfig", bart_files, "bytes")
def bart(d):
    return bart_body(d)


def bart_base_files(d):
    """As facebook/bart-base is, without beams: it names no tokenizer's class, and config.json says what generation does."""
    return Files(None, {**d.option({}, {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "min_length": 5}), "add_bias_logits": False, "normalize_before": False}, {"model_max_length": 512})


@seq2seq("bart_base", "BartModel", "BartConfig", bart_base_files, "bytes")
def bart_base(d):
    """Its tensors have no "model." in front, and the logits no bias."""
    return bart_body(d)


def bart_beams_files(d):
    """As the summarisers among the published ones are."""
    settings = d.option({"num_beams": 4, "early_stopping": True, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "length_penalty": 2.0, "min_length": 6},
                        {"num_beams": 3, "length_penalty": 0.7}, {"num_beams": 2, "early_stopping": "never", "min_length": 4}, {"num_beams": 5, "repetition_penalty": 1.3, "eos_token_id": [2, 90]})
    return Files({"forced_eos_token_id": d.option(2, None), **settings}, {}, bytes_settings(model_max_length=512))


@seq2seq("bart_beams", "BartForConditionalGeneration", "BartConfig", bart_beams_files, "bytes")
def bart_beams(d):
    return bart_body(d)


def t5_beams_files(d):
    return Files(d.option({"num_beams": 2}, {"num_beams": 4, "early_stopping": True, "length_penalty": 0.6, "no_repeat_ngram_size": 3}), {}, pieces(d, 64))


@seq2seq("t5_beams", "T5ForConditionalGeneration", "T5Config", t5_beams_files)
def t5_beams(d):
    return t5_body(d, feed_forward_proj=d.option("relu", "gated-gelu"), n_positions=d.option(48, 40))


def spread(name, shape, t5):
    """(mean, half width) of the uniform numbers of a saved tensor, as decoder_families.spread."""
    if name == "final_logits_bias":
        return 0.0, 0.5
    if len(shape) < 2:
        return (1.0, 0.5) if "norm" in name and name.endswith("weight") else (0.0, 0.4)
    if "relative_attention_bias" in name:
        return 0.0, 2.5
    if "embed_positions" in name:
        return 0.0, 1.3
    if "shared" in name:
        return 0.0, 0.5  # if these were larger, what was written last would be written again
    half = 2.8 / (shape[-1] * shape[-2]) ** 0.25
    return 0.0, round(half / 2 if name.endswith("Attention.q.weight") else half, 4)  # T5's products are not divided by the root of their width
