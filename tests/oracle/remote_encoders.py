"""Encoders whose code is on the hub and not in transformers 4.57.1, written anew for it: NomicBertModel (nomic-ai/nomic-bert-2048),
NewModel and NewForSequenceClassification (Alibaba-NLP/new-impl), with the hub's names of keys and tensors.

What no checkpoint of theirs has is left out. transformers 5.24.0 has both natively, with other keys and without NTK: without it the
numbers are the same.
"""
import math

import torch
import transformers
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput

ACTIVATIONS = {"gelu": nn.functional.gelu, "gelu_new": lambda x: nn.functional.gelu(x, approximate="tanh"), "silu": nn.functional.silu,
               "swiglu": nn.functional.silu, "geglu": nn.functional.gelu, "glu": torch.sigmoid}


class NomicBertConfig(transformers.GPT2Config):
    model_type = "nomic_bert"

    def __init__(self, type_vocab_size=2, pad_vocab_size_multiple=1, qkv_proj_bias=True, mlp_fc1_bias=True, mlp_fc2_bias=True, rotary_emb_fraction=0.0, rotary_emb_base=10_000,
                 rotary_emb_interleaved=False, rotary_emb_scale_base=None, rotary_scaling_factor=None, max_trained_positions=2048, prenorm=False, parallel_block=False, causal=False,
                 use_rms_norm=False, **kwargs):
        super().__init__(**kwargs)
        given = {name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")}
        for name, value in given.items():
            setattr(self, name, value)


class NewConfig(transformers.PretrainedConfig):
    model_type = "new"

    def __init__(self, vocab_size=30528, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, hidden_act="gelu", hidden_dropout_prob=0.1,
                 attention_probs_dropout_prob=0.0, max_position_embeddings=2048, type_vocab_size=1, initializer_range=0.02, layer_norm_type="layer_norm", layer_norm_eps=1e-12,
                 position_embedding_type="rope", rope_theta=10000.0, rope_scaling=None, classifier_dropout=None, pack_qkv=True, unpad_inputs=False, use_memory_efficient_attention=False,
                 logn_attention_scale=False, logn_attention_clip1=False, **kwargs):
        super().__init__(**kwargs)
        given = {name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")}
        for name, value in given.items():
            setattr(self, name, value)


def inverse_frequencies(dim, theta, scaling=None):
    """NTK as NewModel has it: for every length. mixed_b is not implemented."""
    factor = scaling["factor"] if scaling else 1.0
    powers = torch.arange(0, dim, 2).float() / dim
    return 1.0 / (theta * factor) ** powers / factor ** (2 / dim)


def rotated(x, frequencies):
    """x: [texts, tokens, heads, dim]."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[1]).float()[:, None] * frequencies
    cos, sin = (torch.cat([turn, turn], -1)[:, None].to(x.dtype) for turn in (angles.cos(), angles.sin()))
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def attention(qkv, heads, frequencies, mask):
    """qkv: [texts, tokens, 3 x hidden]; mask: [texts, tokens], or None."""
    texts, tokens, width = qkv.shape
    q, k, v = qkv.view(texts, tokens, 3, heads, width // 3 // heads).unbind(2)
    q, k, v = (part.transpose(1, 2) for part in (rotated(q, frequencies), rotated(k, frequencies), v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(mask[:, None, None] == 0, torch.finfo(scores.dtype).min)
    return (scores.softmax(-1, dtype=torch.float32).to(v.dtype) @ v).transpose(1, 2).reshape(texts, tokens, -1)


class NomicAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.Wqkv = nn.Linear(c.n_embd, 3 * c.n_embd, bias=c.qkv_proj_bias)
        self.out_proj = nn.Linear(c.n_embd, c.n_embd, bias=c.qkv_proj_bias)

    def forward(self, x, mask):
        return self.out_proj(attention(self.Wqkv(x), self.c.n_head, inverse_frequencies(self.c.n_embd // self.c.n_head, self.c.rotary_emb_base), mask))


class NomicGated(nn.Module):
    def __init__(self, c):
        super().__init__()
        inner = int(8 * c.n_embd / 3) if c.n_inner is None else c.n_inner
        inner = (inner + 255) // 256 * 256
        self.fc11, self.fc12 = (nn.Linear(c.n_embd, inner, bias=c.mlp_fc1_bias) for _ in range(2))
        self.fc2 = nn.Linear(inner, c.n_embd, bias=c.mlp_fc2_bias)
        self.activation = ACTIVATIONS[c.activation_function]

    def forward(self, x):
        return self.fc2(self.fc11(x) * self.activation(self.fc12(x)))


class NomicLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attn, self.mlp = NomicAttention(c), NomicGated(c)
        self.norm1, self.norm2 = (nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon) for _ in range(2))

    def forward(self, x, mask):
        x = self.norm1(self.attn(x, mask) + x)
        return self.norm2(self.mlp(x) + x)


class Encoder(nn.Module):
    """layers: the name that they have in the encoder."""

    def __init__(self, layers, made):
        super().__init__()
        setattr(self, layers, nn.ModuleList(made))

    def forward(self, x, mask):
        for layer in next(self.children()):
            x = layer(x, mask)
        return x


def tables(c, hidden):
    """A module of the tables of words and types."""
    made = nn.Module()
    made.word_embeddings = nn.Embedding(c.vocab_size, hidden)
    if c.type_vocab_size > 0:
        made.token_type_embeddings = nn.Embedding(c.type_vocab_size, hidden)
    return made


def looked_up(made, ids, types):
    x = made.word_embeddings(ids)
    if hasattr(made, "token_type_embeddings"):
        x = x + made.token_type_embeddings(torch.zeros_like(ids) if types is None else types)
    return x


class NomicBertModel(transformers.PreTrainedModel):
    config_class = NomicBertConfig

    def __init__(self, config):
        super().__init__(config)
        rows = -(-config.vocab_size // config.pad_vocab_size_multiple) * config.pad_vocab_size_multiple
        if config.rotary_emb_fraction != 1.0 or rows != config.vocab_size or config.prenorm or config.causal or config.rotary_scaling_factor:
            raise ValueError("not implemented")
        self.embeddings = tables(config, config.n_embd)
        self.emb_ln = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.encoder = Encoder("layers", [NomicLayer(config) for _ in range(config.n_layer)])
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, **_):
        x = self.emb_ln(looked_up(self.embeddings, input_ids, token_type_ids))
        return BaseModelOutputWithPooling(last_hidden_state=self.encoder(x, attention_mask))


class NewAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        if c.pack_qkv:
            self.qkv_proj = nn.Linear(c.hidden_size, 3 * c.hidden_size)
        else:
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(c.hidden_size, c.hidden_size) for _ in range(3))
        self.o_proj = nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x, mask):
        qkv = self.qkv_proj(x) if self.c.pack_qkv else torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], -1)
        heads = self.c.num_attention_heads
        return self.o_proj(attention(qkv, heads, inverse_frequencies(self.c.hidden_size // heads, self.c.rope_theta, self.c.rope_scaling), mask))


class NewGated(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.up_gate_proj = nn.Linear(c.hidden_size, 2 * c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size)
        self.activation = ACTIVATIONS[c.hidden_act]

    def forward(self, x):
        up, gate = self.up_gate_proj(x).chunk(2, -1)
        return self.down_proj(up * self.activation(gate))


class NewLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention, self.mlp = NewAttention(c), NewGated(c)
        self.attn_ln, self.mlp_ln = (nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps) for _ in range(2))

    def forward(self, x, mask):
        x = self.attn_ln(x + self.attention(x, mask))
        return self.mlp_ln(x + self.mlp(x))


class NewModel(transformers.PreTrainedModel):
    config_class = NewConfig
    base_model_prefix = "new"

    def __init__(self, config, with_pooler=False):
        super().__init__(config)
        if config.position_embedding_type != "rope" or config.layer_norm_type != "layer_norm" or config.logn_attention_scale:
            raise ValueError("not implemented")
        self.embeddings = tables(config, config.hidden_size)
        self.embeddings.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = Encoder("layer", [NewLayer(config) for _ in range(config.num_hidden_layers)])
        self.pooler = None
        if with_pooler:
            self.pooler = nn.Module()
            self.pooler.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, **_):
        x = self.embeddings.LayerNorm(looked_up(self.embeddings, input_ids, token_type_ids))
        states = self.encoder(x, attention_mask)
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=torch.tanh(self.pooler.dense(states[:, 0])) if self.pooler else None)


class NewForSequenceClassification(transformers.PreTrainedModel):
    config_class = NewConfig
    base_model_prefix = "new"

    def __init__(self, config):
        super().__init__(config)
        self.new = NewModel(config, with_pooler=True)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, **_):
        return SequenceClassifierOutput(logits=self.classifier(self.new(input_ids, attention_mask, token_type_ids).pooler_output))


def register():
    """So that AutoModel finds them."""
    for config in (NomicBertConfig, NewConfig):
        transformers.AutoConfig.register(config.model_type, config)
    transformers.AutoModel.register(NomicBertConfig, NomicBertModel)
    transformers.AutoModel.register(NewConfig, NewModel)
    transformers.AutoModelForSequenceClassification.register(NewConfig, NewForSequenceClassification)
