"""Random tiny configurations of every encoder architecture, for comparisons with transformers.

ENCODERS: name -> Encoder, made with the dice of decoder_families.py. The vocabulary is that of tiny_models.tokenizer(), or more.
Standard library only; tests/oracle/encoder_models.py builds the models.

The numbers are those of transformers 4.57.1; of NomicBertModel, NewModel and NewForSequenceClassification, whose code is on the hub,
those of tests/oracle/remote_encoders.py. Left out: DeBERTa with a convolution, and whatever else is refused.
"""
import math
from dataclasses import dataclass
from typing import Callable

from decoder_families import ANY, NASTY, window

FIRST_ID = 4  # the ids below may be padding


@dataclass(frozen=True)
class Encoder:
    architecture: str
    config: str  # the configuration class's name
    keywords: Callable
    tokenizer: str  # word_piece: [CLS] A [SEP] B [SEP] with types; bytes: <s> A </s></s> B </s> without; bytes_single: <s> A </s>
    gives_types: bool  # the tokenizer: where a class fails if it gets them, it must not
    one_plus: bool  # norms multiply by 1 + weight
    newer: Callable | None  # config.json -> the same as transformers 5 writes it; of NASTY ones in the goldens

    def labels(self):
        return self.architecture.endswith("ForSequenceClassification")


ENCODERS: dict[str, Encoder] = {}


def encoder(name, config, architectures, tokenizer="word_piece", gives_types=True, one_plus=False, newer=None):
    """A row for each of the architectures: NAME, NAME_labels and NAME_words."""
    def add(keywords):
        for architecture in architectures.split():
            kind = "_labels" if "Sequence" in architecture else "_words" if "MaskedLM" in architecture else ""
            ENCODERS[name + kind] = Encoder(architecture, config, keywords, tokenizer, gives_types, one_plus, newer)
        return keywords

    return add


def heads_and_width(d, even=False):
    heads = d.share * d.option(2, 3, 5, 1)
    dim = d.option(8, 6, 10, 12) if even else d.option(8, 5, 7, 6, 11)
    while heads * dim > 64:
        dim -= 2
    while heads * dim < 20:
        dim += 2
    return heads, heads * dim


def rows(d):
    """Of a feed-forward block; odd where no gang divides them."""
    many = d.rows(24, 72)
    return many | 1 if d.kind == NASTY and d.share == 1 else many


def labels(d):
    """Three are no cross-encoder."""
    return 3 if d.kind == NASTY else d.option(1, 2)


def body(d, even=False, act="hidden_act", acts=("gelu", "relu", "gelu_new", "silu"), eps="layer_norm_eps", padding=0, behind_padding=False, **more):
    heads, width = heads_and_width(d, even)
    places = d.choice([48, 64, 96])
    return {"vocab_size": 258, "hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": d.option(2, 3, 4), "intermediate_size": rows(d),
            act: d.option(*acts), eps: d.option(1e-12, 1e-5, 1e-3), "max_position_embeddings": places + (padding + 1 if behind_padding else 0),
            "pad_token_id": padding, "num_labels": labels(d), **more}


@encoder("bert", "BertConfig", "BertModel BertForSequenceClassification")
def bert(d):
    return body(d, type_vocab_size=d.option(2, 1, 3))


def behind_padding(d):
    return body(d, padding=d.option(1, 0, 3), behind_padding=True, type_vocab_size=d.option(1, 2))


@encoder("roberta", "RobertaConfig", "RobertaModel RobertaForSequenceClassification", tokenizer="bytes", gives_types=False)
def roberta(d):
    return behind_padding(d)


@encoder("xlm_roberta", "XLMRobertaConfig", "XLMRobertaModel XLMRobertaForSequenceClassification", tokenizer="bytes", gives_types=False)
def xlm_roberta(d):
    return behind_padding(d)


@encoder("camembert", "CamembertConfig", "CamembertModel CamembertForSequenceClassification", tokenizer="bytes", gives_types=False)
def camembert(d):
    return behind_padding(d)


@encoder("distilbert", "DistilBertConfig", "DistilBertModel DistilBertForSequenceClassification", gives_types=False)
def distilbert(d):
    c = body(d, act="activation", acts=("gelu", "relu"), sinusoidal_pos_embds=d.option(False, True))
    c.pop("layer_norm_eps")
    for name, own in {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers", "intermediate_size": "hidden_dim"}.items():
        c[own] = c.pop(name)
    return c


@encoder("electra", "ElectraConfig", "ElectraModel ElectraForSequenceClassification")
def electra(d):
    c = body(d, type_vocab_size=d.option(2, 1))
    return {**c, "embedding_size": d.option(16, c["hidden_size"])}


@encoder("albert", "AlbertConfig", "AlbertModel AlbertForSequenceClassification")
def albert(d):
    c = body(d, acts=("gelu_new", "gelu", "relu"), type_vocab_size=d.option(2, 1), num_hidden_groups=d.option(1, 2), inner_group_num=1)
    c["num_hidden_layers"] = d.option(3, 4, 2)
    if d.option(False, False, True):  # more of them make all tokens alike; transformers fails with less than two layers a group
        c.update(num_hidden_groups=1, inner_group_num=2, num_hidden_layers=2)
    return {**c, "embedding_size": d.option(16, c["hidden_size"], 20)}


@encoder("mpnet", "MPNetConfig", "MPNetModel MPNetForSequenceClassification", tokenizer="bytes", gives_types=False)
def mpnet(d):
    return body(d, padding=1, behind_padding=True, bos_token_id=256, eos_token_id=257)


@encoder("deberta_v2", "DebertaV2Config", "DebertaV2Model DebertaV2ForSequenceClassification")
def deberta_v2(d):
    """Plain as version 3."""
    c = body(d, relative_attention=True, position_buckets=d.option(8, -1, -1, 16), max_relative_positions=d.option(-1, 12, 20, -1), norm_rel_ebd=d.option("layer_norm", "none"),
             share_att_key=d.option(True, False), pos_att_type=d.option("p2c|c2p", "c2p", "c2p", "p2c"), position_biased_input=d.option(False, True),
             type_vocab_size=d.option(0, 2), pooler_hidden_act=d.option("gelu", "tanh", "relu"))
    c["pooler_hidden_size"] = c["hidden_size"]
    if d.kind == ANY and d.random() < 0.3:
        c["relative_attention"] = False
    return {**c, "embedding_size": d.option(c["hidden_size"], 16, c["hidden_size"])}


def modernbert_newer(config):
    """Which layers are local, and two ropes, by name."""
    c = dict(config)
    every, count = c["global_attn_every_n_layers"], c["num_hidden_layers"]
    theta, local = c.pop("global_rope_theta"), c.pop("local_rope_theta")
    c["layer_types"] = ["sliding_attention" if layer % every else "full_attention" for layer in range(count)]
    c["rope_parameters"] = {"full_attention": {"rope_theta": theta, "rope_type": "default"},
                            "sliding_attention": {"rope_theta": theta if local is None else local, "rope_type": "default"}}
    c["dtype"] = c.pop("dtype", c.pop("torch_dtype", "float32"))
    return c


@encoder("modernbert", "ModernBertConfig", "ModernBertModel ModernBertForSequenceClassification", gives_types=False)
@encoder("modernbert", "ModernBertConfig", "ModernBertForMaskedLM", gives_types=False, newer=modernbert_newer)
def modernbert(d):
    c = body(d, even=True, act="hidden_activation", acts=("gelu", "silu", "gelu_new", "relu"), eps="norm_eps", norm_bias=d.option(False, True), attention_bias=d.option(False, True),
             mlp_bias=d.option(False, True), classifier_bias=d.option(False, True), classifier_pooling=d.option("cls", "mean"),
             classifier_activation=d.option("gelu", "silu", "relu"), global_attn_every_n_layers=d.option(3, 2, 4, 1), local_attention=d.option(16, 7, 8, 12),
             global_rope_theta=d.option(160000.0, 500.0), local_rope_theta=d.option(10000.0, 100.0, 20.0, None), decoder_bias=d.option(True, False))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "norm_eps": d.option(1e-5, 1e-3), "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


@encoder("nomic_bert", "NomicBertConfig", "NomicBertModel")
def nomic_bert(d):
    """GPT-2's names. The width of the gated block is rounded up to a multiple of 256."""
    heads, width = heads_and_width(d, even=True)
    return {"vocab_size": 320, "pad_vocab_size_multiple": 64, "n_embd": width, "n_head": heads, "n_layer": d.option(2, 3, 4), "n_inner": d.option(256, 200, 512),
            "n_positions": d.choice([64, 96]), "max_trained_positions": 64, "type_vocab_size": d.option(2, 1), "layer_norm_epsilon": d.option(1e-12, 1e-5, 1e-3),
            "activation_function": d.option("swiglu", "geglu", "glu"), "qkv_proj_bias": d.option(False, True), "mlp_fc1_bias": d.option(False, True),
            "mlp_fc2_bias": d.option(False, True), "rotary_emb_fraction": 1.0, "rotary_emb_base": d.option(1000, 10000, 100), "pad_token_id": 0}


@encoder("new", "NewConfig", "NewModel NewForSequenceClassification")
def new(d):
    c = body(d, even=True, acts=("gelu", "gelu_new", "silu"), type_vocab_size=d.option(1, 0, 2), position_embedding_type="rope", layer_norm_type="layer_norm",
             rope_theta=d.option(10000.0, 500.0, 160000.0), rope_scaling=d.option(None, {"type": "ntk", "factor": 2.0}, {"type": "ntk", "factor": 8.0}), pack_qkv=True)
    if d.kind == ANY and d.random() < 0.3:
        c["pack_qkv"] = False
    return c


def gemma3_newer(config):
    """Both ropes by name."""
    c = dict(config)
    full, local = c.pop("rope_theta"), c.pop("rope_local_base_freq")
    c["rope_parameters"] = {"full_attention": {"rope_theta": full, **(c.pop("rope_scaling") or {"rope_type": "default"})},
                            "sliding_attention": {"rope_theta": local, "rope_type": "default"}}
    return c


@encoder("embedding_gemma", "Gemma3TextConfig", "Gemma3TextModel", tokenizer="bytes_single", gives_types=False, one_plus=True, newer=gemma3_newer)
def embedding_gemma(d):
    """A window reaches half as far in each direction as config.json says."""
    groups, kv = d.option((2, 1), (3, 1), (1, 3), (2, 2))
    heads, dim = groups * kv * d.share, d.option(8, 6, 12, 10)
    c = body(d, act="hidden_activation", acts=("gelu_pytorch_tanh", "gelu"), eps="rms_norm_eps", bos_token_id=256, eos_token_id=257)
    c["num_hidden_layers"] = d.option(6, 3, 4)
    kinds = [d.choice(["sliding_attention", "full_attention"]) for _ in range(c["num_hidden_layers"] - 2)] + ["sliding_attention", "full_attention"]
    return {**c, "num_attention_heads": heads, "num_key_value_heads": kv * d.share, "head_dim": dim, "hidden_size": d.option(24, 48), "use_bidirectional_attention": True,
            "sliding_window": d.option(12, 7, window(d)), "rms_norm_eps": d.option(1e-6, 1e-3), "query_pre_attn_scalar": d.option(dim, 5, 24), "rope_theta": d.option(1000000.0, 500.0),
            "rope_local_base_freq": d.option(10000.0, 100.0), "rope_scaling": d.option(None, {"rope_type": "linear", "factor": 8.0}), "attention_bias": d.option(False, True),
            "layer_types": d.option(None, kinds)}


def spread(kind, name, shape):
    """(mean, half width) of the uniform numbers of a saved tensor, as decoder_families.spread."""
    *front, last = name.lower().split(".")
    if "bias" in last and len(shape) < 2:
        return 0.0, 0.4
    if len(shape) < 2:
        norm = any("norm" in part or part.endswith("ln") for part in front)
        return (0.0 if kind.one_plus or not norm else 1.0), 0.5
    if "relative_attention_bias" in name:
        return 0.0, 1.5
    if "embed" in name.replace("embeddings_project", "").replace("embedding_hidden_mapping_in", "").replace("embed_proj", ""):
        return 0.0, 0.6
    return 0.0, round(2.4 / (shape[-1] * shape[-2]) ** 0.25, 4)


def texts(d):
    """Three sequences of token ids for the goldens, and their types: the second half is of another one."""
    ids = [[d.randrange(FIRST_ID, 256) for _ in range(length)] for length in (1, 9, 40)]
    return ids, [[int(i >= math.ceil(len(text) / 2)) for i in range(len(text))] for text in ids]
