"""Random tiny configurations of every decoder family, for comparisons with transformers.

FAMILIES: name -> Family. `Family.keywords(dice)` gives the keywords of the transformers configuration class. A Dice of kind
PLAIN takes the first of an option's values, NASTY any of the others, ANY all of them; `share` is the number of tensor
parallel members that heads and feed-forward rows must be divisible by. The vocabulary is that of tiny_models.tokenizer().
Standard library only; tests/oracle/family_models.py builds the models.

The numbers are those of transformers 4.57.1, or of the release that a family `needs`. Left out: BitNetForCausalLM, which needs its
own kernels' weights. Mixtures of attention with recurrent layers are not decoder-only in the sense meant here.
"""
import math
import random
from dataclasses import dataclass
from typing import Callable

PLAIN, NASTY, ANY = "plain", "nasty", "any"
NORMS = ("norm", "ln_", "ln1", "ln2")


class Dice(random.Random):
    def __init__(self, seed, kind=ANY, share=1):
        super().__init__(seed)
        self.kind, self.share = kind, share

    def option(self, *values):
        """One of the values, of which the first is the usual one."""
        pick = self.choice(values[1:])
        every = self.choice(values)
        return {PLAIN: values[0], NASTY: pick, ANY: every}[self.kind]

    def heads(self):
        """(query heads, key-value heads)"""
        groups, kv = self.option((2, 2), (3, 1), (2, 3), (5, 1), (1, 3), (1, 5))
        if self.share > 1 and self.random() < 0.3:
            return groups * self.share, 1  # each member has the keys and values
        return groups * kv * self.share, kv * self.share

    def rows(self, low=24, high=96):
        """Of a feed-forward block: not a multiple of anything."""
        return self.share * self.randint(math.ceil(low / self.share), high // self.share)


@dataclass(frozen=True)
class Family:
    architecture: str
    config: str  # of transformers: the class's name
    keywords: Callable
    one_plus: bool = False  # norms multiply by 1 + weight
    rename: Callable | None = None  # of a saved tensor's name -> as the hub's checkpoints have it; NASTY and ANY, with a tied head
    attention: str = "eager"  # of transformers: the one that gives the numbers that are meant
    needs: str = "4.57.1"  # the transformers release that gives the numbers; older ones lack the class


FAMILIES: dict[str, Family] = {}


def family(name, architecture, config, **more):
    def add(keywords):
        FAMILIES[name] = Family(architecture, config, keywords, **more)
        return keywords

    return add


def common(d, **more):
    return {"vocab_size": 258, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": None, "max_position_embeddings": d.choice([64, 96, 128, 256]), **more}


def body(d, head_dim=True, grouped=True, act="hidden_act", eps="rms_norm_eps", rope=True, most=96, **more):
    """The keywords that nearly all configuration classes have. head_dim: the class has this key, so that the width need not be
    heads x head_dim; grouped: False where keys have as many heads as queries."""
    heads, kv = d.heads()
    if not grouped:
        kv = heads
    dim = d.option(8, 4, 6, 10, 12, 16)
    out = common(d, hidden_size=heads * dim, num_attention_heads=heads, num_key_value_heads=kv, intermediate_size=d.rows(),
                 num_hidden_layers=d.option(2, 3, 4), tie_word_embeddings=d.option(False, True))
    while out["hidden_size"] < 24 or out["hidden_size"] > most:
        dim = dim + 2 if out["hidden_size"] < 24 else dim - 2
        out["hidden_size"] = heads * dim
    if head_dim:
        out["head_dim"], out["hidden_size"] = dim, d.option(heads * dim, *(w for w in (24, 36, 52, 76, 92) if w != heads * dim))
    if eps:
        out[eps] = d.option(1e-5, 1e-6, 1e-3, 0.02)
    if rope:
        out["rope_theta"] = d.option(10000.0, 500.0, 1000000.0)
    if act:
        out[act] = "silu"
    return {**out, **more}


def scaling(d, length=64, kinds=("linear", "llama3", "yarn", "dynamic")):
    """rope_scaling, in both spellings; `length`: max_position_embeddings, within which dynamic is no scaling at all."""
    linear = {"rope_type": "linear", "factor": d.choice([2.0, 3.5])}
    all_kinds = {
        "linear": linear,
        "old_linear": {"type": "linear", "factor": 4.0},
        "llama3": {"rope_type": "llama3", "factor": d.choice([4.0, 8.0]), "low_freq_factor": 1.0, "high_freq_factor": d.choice([2.0, 4.0]),
                   "original_max_position_embeddings": d.choice([16, 32])},
        "yarn": {"rope_type": "yarn", "factor": d.choice([2.0, 4.0, 16.0]), "original_max_position_embeddings": d.choice([8, 16, 32]),
                 **d.choice([{}, {"beta_fast": 8.0, "beta_slow": 0.5}, {"attention_factor": 1.3}, {"truncate": False, "beta_fast": 4.0},
                             {"mscale": 1.0, "mscale_all_dim": 0.5}])},
        "dynamic": {"rope_type": "dynamic", "factor": 3.0, "original_max_position_embeddings": length},
    }
    return d.option(None, *(all_kinds[kind] for kind in kinds))


def rotary_fraction(d, dim, *fractions):
    """A fraction of the head that leaves an even number of dimensions, at least 2."""
    good = [f for f in fractions if int(dim * f) % 2 == 0 and int(dim * f) >= 2]
    return d.option(good[0], *(good[1:] or good))


def layer_types(d, count, every=None):
    """Sliding layers and full ones; at least one of each where there are two."""
    kinds = [d.choice(["sliding_attention", "full_attention"]) for _ in range(count)]
    kinds[d.randrange(count)] = "full_attention"
    if "sliding_attention" not in kinds:
        kinds[0 if kinds[-1] == "full_attention" else -1] = "sliding_attention"
    return d.option(None, kinds, kinds)


def window(d):
    return d.randint(5, 12)


@family("llama", "LlamaForCausalLM", "LlamaConfig")
def llama(d):
    return body(d, attention_bias=d.option(False, True), mlp_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("linear", "old_linear", "llama3", "yarn")))


@family("llama_dynamic", "LlamaForCausalLM", "LlamaConfig")
def llama_dynamic(d):
    return body(d, rope_scaling={"rope_type": "dynamic", "factor": d.option(2.0, 4.0)})


@family("mistral", "MistralForCausalLM", "MistralConfig")
def mistral(d):
    return body(d, sliding_window=d.option(None, 5, 8, 12))


@family("qwen2", "Qwen2ForCausalLM", "Qwen2Config")
def qwen2(d):
    c = body(d, head_dim=False)
    return {**c, "rope_scaling": scaling(d, kinds=("yarn", "linear")), "use_sliding_window": d.option(False, True), "sliding_window": window(d), "max_window_layers": d.option(2, 1, 0)}


@family("qwen3", "Qwen3ForCausalLM", "Qwen3Config")
def qwen3(d):
    c = body(d, attention_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("yarn",)))
    return {**c, "use_sliding_window": d.option(False, True), "sliding_window": window(d), "max_window_layers": d.option(2, 1)}


@family("gemma", "GemmaForCausalLM", "GemmaConfig", one_plus=True)
def gemma(d):
    return body(d, act=None, hidden_act="gelu_pytorch_tanh", hidden_activation=d.option("gelu_pytorch_tanh", None, "gelu"),
                attention_bias=d.option(False, True)) | {"tie_word_embeddings": True}


@family("gemma2", "Gemma2ForCausalLM", "Gemma2Config", one_plus=True)
def gemma2(d):
    c = body(d, act=None, hidden_activation=d.option("gelu_pytorch_tanh", "gelu_pytorch_tanh", "gelu"), attention_bias=d.option(False, True))
    return {**c, "query_pre_attn_scalar": d.option(c["head_dim"], 5, 24, 30.5), "sliding_window": window(d), "layer_types": layer_types(d, c["num_hidden_layers"]),
            "final_logit_softcapping": d.option(3.0, 1.5, None), "attn_logit_softcapping": d.option(2.0, 1.0, None), "tie_word_embeddings": True}


def gemma3_keywords(d):
    c = body(d, act=None, hidden_activation="gelu_pytorch_tanh", attention_bias=d.option(False, True))
    c["num_hidden_layers"] = d.option(7, 6, 3)  # by default five sliding layers are followed by a full one
    return {**c, "query_pre_attn_scalar": d.option(c["head_dim"], 5, 24), "sliding_window": window(d), "layer_types": layer_types(d, c["num_hidden_layers"]),
            "rope_scaling": d.option(None, {"rope_type": "linear", "factor": 8.0}), "rope_local_base_freq": d.option(10000.0, 100.0), "tie_word_embeddings": True}


@family("gemma3", "Gemma3ForCausalLM", "Gemma3TextConfig", one_plus=True)
def gemma3(d):
    c = gemma3_keywords(d)
    return {**c, "final_logit_softcapping": d.option(None, 3.0)}


@family("gemma3_vision", "Gemma3ForConditionalGeneration", "Gemma3Config", one_plus=True)
def gemma3_vision(d):
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8, "patch_size": 4, "vision_use_head": False}
    return {"text_config": gemma3_keywords(d), "vision_config": vision, "mm_tokens_per_image": 4, "boi_token_index": 254, "eoi_token_index": 253,
            "image_token_index": 255, "bos_token_id": 256, "eos_token_id": 257}


@family("olmo", "OlmoForCausalLM", "OlmoConfig")
def olmo(d):
    return body(d, head_dim=False, eps=None, clip_qkv=d.option(None, 0.7, 1.5), attention_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("old_linear",)))


@family("olmo2", "Olmo2ForCausalLM", "Olmo2Config")
def olmo2(d):
    return body(d, head_dim=False, attention_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("old_linear",)))


@family("olmo3", "Olmo3ForCausalLM", "Olmo3Config")
def olmo3(d):
    c = body(d, head_dim=False, attention_bias=d.option(False, True))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "sliding_window": window(d), "layer_types": layer_types(d, c["num_hidden_layers"]), "rope_scaling": scaling(d, kinds=("yarn",))}


def vision_keywords(text):
    """A Mistral3's, around those of its text model."""
    vision = {"model_type": "pixtral", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 4, "image_size": 8, "patch_size": 4}
    return {"text_config": text, "vision_config": vision, "image_token_index": 255, "spatial_merge_size": 1, "bos_token_id": 256, "eos_token_id": 257}


@family("mistral3", "Mistral3ForConditionalGeneration", "Mistral3Config")
def mistral3(d):
    return vision_keywords({"model_type": "mistral", **mistral(d), "tie_word_embeddings": False})


def ministral3_keywords(d):
    """Queries grow at every multiple of original_max_position_embeddings. Equal mscale and mscale_all_dim cancel; 0 counts as absent."""
    c = body(d, rope=False, sliding_window=d.option(None, 6, 11))
    mscale = d.option({"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 1.0, "mscale_all_dim": 0.0}, {"mscale": 1.0, "mscale_all_dim": 0.5}, {})
    rope = {"type": "yarn", "rope_theta": d.option(1000000.0, 500.0, 10000.0), "factor": d.option(16.0, 2.0, 8.0), "beta_fast": d.option(32.0, 4.0),
            "beta_slow": d.option(1.0, 0.5), "original_max_position_embeddings": d.option(16, 8, 5), "max_position_embeddings": c["max_position_embeddings"],
            "llama_4_scaling_beta": d.option(0.1, 0.4, 0.2, 0.0)}
    return {**c, "rope_parameters": {**rope, **mscale}}


@family("ministral3", "Ministral3ForCausalLM", "Ministral3Config", needs="5.24.0")
def ministral3(d):
    return ministral3_keywords(d)


@family("ministral3_vision", "Mistral3ForConditionalGeneration", "Mistral3Config", needs="5.24.0")
def ministral3_vision(d):
    text = {"model_type": "ministral3", **ministral3_keywords(d)}
    return {**vision_keywords(text), "tie_word_embeddings": text["tie_word_embeddings"]}  # transformers 5 goes by the outer one


@family("cohere", "CohereForCausalLM", "CohereConfig")
def cohere(d):
    return body(d, head_dim=False, eps="layer_norm_eps", logit_scale=d.option(0.5, 0.4, 1.3), attention_bias=d.option(False, True), use_qk_norm=d.option(False, True)) | {
        "tie_word_embeddings": True}


@family("cohere2", "Cohere2ForCausalLM", "Cohere2Config")
def cohere2(d):
    c = body(d, eps="layer_norm_eps", logit_scale=d.option(0.5, 0.4, 1.3), attention_bias=d.option(False, True))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "sliding_window": window(d), "layer_types": layer_types(d, c["num_hidden_layers"]), "tie_word_embeddings": True}


def heads_and_width(d):
    heads, _ = d.heads()
    return heads, heads * d.choice([n for n in (4, 6, 8, 10, 12, 16, 24) if 24 <= heads * n <= 96])


def gpt2_keywords(d, **more):
    heads, width = heads_and_width(d)
    return {"vocab_size": 258, "n_positions": d.choice([64, 100]), "n_embd": width, "n_layer": d.option(2, 3, 4), "n_head": heads, "n_inner": d.option(None, d.rows()),
            "layer_norm_epsilon": d.option(1e-5, 1e-3, 0.02), "bos_token_id": 256, "eos_token_id": 257, **more}


@family("gpt2", "GPT2LMHeadModel", "GPT2Config", rename=lambda name: name.removeprefix("transformer."))
def gpt2(d):
    return gpt2_keywords(d, activation_function=d.option("gelu_new", "gelu_new", "gelu", "relu", "gelu_fast"), scale_attn_by_inverse_layer_idx=d.option(False, True),
                         scale_attn_weights=d.option(True, False), reorder_and_upcast_attn=d.option(False, True), tie_word_embeddings=d.option(True, True, False))


@family("gpt_bigcode", "GPTBigCodeForCausalLM", "GPTBigCodeConfig")
def gpt_bigcode(d):
    return gpt2_keywords(d, activation_function=d.option("gelu_pytorch_tanh", "gelu", "gelu_new"), multi_query=d.option(True, False), scale_attn_weights=d.option(True, False),
                         attention_softmax_in_fp32=d.option(True, False), scale_attention_softmax_in_fp32=d.option(True, False))


@family("gptj", "GPTJForCausalLM", "GPTJConfig")
def gptj(d):
    c = gpt2_keywords(d, activation_function=d.option("gelu_new", "gelu"), tie_word_embeddings=d.option(False, True))
    dim = c["n_embd"] // c["n_head"]
    return {**c, "rotary_dim": d.option(dim // 4 * 2, 2, dim - dim % 2) or 2}


@family("codegen", "CodeGenForCausalLM", "CodeGenConfig")
def codegen(d):
    c = gpt2_keywords(d, activation_function=d.option("gelu_new", "gelu"), tie_word_embeddings=False)
    dim = d.option(8, 4, 6, 12)
    c["n_head"] = 4 * d.option(1, 2) * (1 if d.share in (1, 2, 4) else d.share)  # the fused projection is laid out in four parts
    c["n_embd"] = c["n_head"] * dim
    return {**c, "n_ctx": c["n_positions"], "rotary_dim": d.option(4, 2, dim)}


@family("gpt_neox", "GPTNeoXForCausalLM", "GPTNeoXConfig")
def gpt_neox(d):
    c = body(d, head_dim=False, eps="layer_norm_eps", rope=False, act=None, hidden_act=d.option("gelu", "gelu_new", "relu"), use_parallel_residual=d.option(True, False),
             rotary_emb_base=d.option(10000, 500), attention_bias=d.option(True, False), rope_scaling=scaling(d, kinds=("linear", "yarn")))
    c.pop("num_key_value_heads")
    return {**c, "rotary_pct": rotary_fraction(d, c["hidden_size"] // c["num_attention_heads"], 0.5, 1.0, 0.25, 0.4, 0.75)}


@family("apertus", "ApertusForCausalLM", "ApertusConfig")
def apertus(d):
    return body(d, head_dim=False, act=None, hidden_act="xielu", attention_bias=d.option(False, True), rope_scaling=d.option(
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}, None))


@family("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Config")
def hunyuan(d):
    return body(d, attention_bias=d.option(False, True), rope_scaling=d.option(
        {"type": "dynamic", "alpha": 1000.0, "factor": 1.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
        None, {"rope_type": "dynamic", "alpha": 3.0, "factor": 1.0}, {"rope_type": "linear", "factor": 2.0}))


@family("phi", "PhiForCausalLM", "PhiConfig")
def phi(d):
    c = body(d, head_dim=False, eps="layer_norm_eps", act=None, hidden_act=d.option("gelu_new", "gelu"), qk_layernorm=d.option(False, True))
    return {**c, "partial_rotary_factor": rotary_fraction(d, c["hidden_size"] // c["num_attention_heads"], 0.5, 1.0, 0.4, 0.75, 0.25), "tie_word_embeddings": d.option(False, True)}


@family("phi3", "Phi3ForCausalLM", "Phi3Config")
def phi3(d):
    return body(d, head_dim=False, sliding_window=d.option(None, 6, 11))


@family("phi3_long", "Phi3ForCausalLM", "Phi3Config")
def phi3_long(d):
    """As Phi-3 128k and, with a part of the head rotated and a tied head, Phi-4 mini; texts of up to 64 tokens keep to short_factor."""
    c = body(d, head_dim=False, sliding_window=d.option(None, 9))
    dim = c["hidden_size"] // c["num_attention_heads"]
    fraction = rotary_fraction(d, dim, 1.0, 0.75, 0.5)
    pairs = int(dim * fraction) // 2
    factors = {name: [round(1 + low * d.random(), 3) for _ in range(pairs)] for name, low in (("short_factor", 2), ("long_factor", 30))}
    return {**c, "max_position_embeddings": d.option(512, 96, 64), "original_max_position_embeddings": 24, "partial_rotary_factor": fraction,
            "rope_scaling": {"type": "longrope", **factors}}


@family("smollm3", "SmolLM3ForCausalLM", "SmolLM3Config")
def smollm3(d):
    c = body(d, head_dim=False, attention_bias=d.option(False, True), mlp_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("yarn", "linear")))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "no_rope_layer_interval": d.option(4, 2, 3), "no_rope_layers": d.option(None, None, [d.randrange(2) for _ in range(c["num_hidden_layers"])]),
            "use_sliding_window": d.option(False, True), "sliding_window": d.option(None, 7)}


@family("granite", "GraniteForCausalLM", "GraniteConfig")
def granite(d):
    return body(d, head_dim=False, attention_bias=d.option(False, True), mlp_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("linear", "yarn")),
                embedding_multiplier=d.option(3.0, 0.5, 5.0), logits_scaling=d.option(1.5, 0.7, 4.0), residual_multiplier=d.option(0.22, 0.7, 1.0),
                attention_multiplier=d.option(0.2, 0.05, 0.6))


@family("arcee", "ArceeForCausalLM", "ArceeConfig")
def arcee(d):
    return body(d, act=None, hidden_act="relu2", attention_bias=d.option(False, True), mlp_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("yarn", "linear")))


@family("exaone4", "Exaone4ForCausalLM", "Exaone4Config")
def exaone4(d):
    c = body(d, head_dim=d.kind != PLAIN, rope_scaling=scaling(d, kinds=("llama3",)))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    kinds = layer_types(d, c["num_hidden_layers"])
    if d.option(False, False, True):  # as the 1.2B: all layers full, all with rotary positions
        return {**c, "sliding_window": None, "sliding_window_pattern": None, "layer_types": ["full_attention"] * c["num_hidden_layers"]}
    return {**c, "sliding_window": window(d), "sliding_window_pattern": d.option(4, 2), "layer_types": kinds}


@family("ernie4_5", "Ernie4_5ForCausalLM", "Ernie4_5Config")
def ernie(d):
    return body(d, use_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("linear",)))


@family("helium", "HeliumForCausalLM", "HeliumConfig")
def helium(d):
    c = body(d, head_dim=False, attention_bias=d.option(False, True), mlp_bias=d.option(False, True))
    return {**c, "head_dim": c["hidden_size"] // c["num_attention_heads"]}  # its output projection is square


@family("seed_oss", "SeedOssForCausalLM", "SeedOssConfig")
def seed_oss(d):
    return body(d, attention_bias=d.option(True, False), attention_out_bias=d.option(False, True), mlp_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("linear",)))


def glm_keywords(d):
    c = body(d, attention_bias=d.option(True, False))
    return {**c, "partial_rotary_factor": rotary_fraction(d, c["head_dim"], 0.5, 1.0, 0.75, 0.25)}


@family("glm", "GlmForCausalLM", "GlmConfig")
def glm(d):
    return glm_keywords(d)


@family("glm4", "Glm4ForCausalLM", "Glm4Config")
def glm4(d):
    return glm_keywords(d)


@family("stablelm", "StableLmForCausalLM", "StableLmConfig")
def stablelm(d):
    c = body(d, head_dim=False, eps="layer_norm_eps", use_qkv_bias=d.option(False, True), qk_layernorm=d.option(False, True), use_parallel_residual=d.option(False, True))
    return {**c, "partial_rotary_factor": rotary_fraction(d, c["hidden_size"] // c["num_attention_heads"], 0.25, 0.5, 1.0, 0.75)}


def falcon_keywords(d, **more):
    c = body(d, head_dim=False, act=None, eps="layer_norm_epsilon", activation=d.option("gelu", "gelu", "gelu_pytorch_tanh"), bias=d.option(False, True))
    kv, rows = c.pop("num_key_value_heads"), c.pop("intermediate_size")
    return {**c, "num_kv_heads": kv, "ffn_hidden_size": d.option(None, rows), **more}


@family("falcon_7b", "FalconForCausalLM", "FalconConfig")
def falcon_7b(d):
    return falcon_keywords(d, multi_query=True, parallel_attn=d.option(True, False), new_decoder_architecture=False, alibi=False,
                           rope_scaling=scaling(d, kinds=("linear",)))


@family("falcon_40b", "FalconForCausalLM", "FalconConfig")
def falcon_40b(d):
    return falcon_keywords(d, new_decoder_architecture=True, parallel_attn=True, multi_query=d.option(False, True), alibi=False, num_ln_in_parallel_attn=d.option(None, 1, 2))


@family("falcon_rw", "FalconForCausalLM", "FalconConfig", attention="sdpa")
def falcon_rw(d):
    """The eager attention of 4.57.1 adds ALiBi twice: to the mask and to the scores."""
    c = falcon_keywords(d, multi_query=d.option(False, False, True), parallel_attn=d.option(False, True), new_decoder_architecture=False, alibi=True)
    return {**c, "num_kv_heads": c["num_attention_heads"], "bias": d.option(True, False)}


@family("opt", "OPTForCausalLM", "OPTConfig")
def opt(d):
    heads, width = heads_and_width(d)
    return common(d, hidden_size=width, num_hidden_layers=d.option(2, 3, 4), ffn_dim=d.rows(), num_attention_heads=heads, do_layer_norm_before=True,
                  word_embed_proj_dim=d.option(width, width, 20), activation_function=d.option("relu", "relu", "gelu"), enable_bias=d.option(True, False),
                  layer_norm_elementwise_affine=d.option(True, True, False), tie_word_embeddings=d.option(True, True, False)) | {"pad_token_id": 1}


@family("bloom", "BloomForCausalLM", "BloomConfig", rename=lambda name: name.removeprefix("transformer."))
def bloom(d):
    heads, width = heads_and_width(d)
    return {"vocab_size": 258, "hidden_size": width, "n_layer": d.option(2, 3, 4), "n_head": heads, "layer_norm_epsilon": d.option(1e-5, 1e-3),
            "apply_residual_connection_post_layernorm": d.option(False, True), "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 3, "seq_length": 64}


@family("mpt", "MptForCausalLM", "MptConfig")
def mpt(d):
    heads, width = heads_and_width(d)
    attention = {"clip_qkv": d.option(None, 0.8), "softmax_scale": d.option(None, 0.3), "alibi_bias_max": 8, "alibi": True}
    return {"vocab_size": 258, "d_model": width, "n_layers": d.option(2, 3, 4), "n_heads": heads, "max_seq_len": 64, "attn_config": attention,
            "layer_norm_epsilon": d.option(1e-5, 1e-3), "bos_token_id": 256, "eos_token_id": 257}


@family("starcoder2", "Starcoder2ForCausalLM", "Starcoder2Config")
def starcoder2(d):
    return body(d, head_dim=False, eps="norm_epsilon", act=None, hidden_act=d.option("gelu_pytorch_tanh", "gelu"), sliding_window=d.option(None, 8), use_bias=d.option(True, False),
                rope_scaling=scaling(d, kinds=("linear",)))


@family("nemotron", "NemotronForCausalLM", "NemotronConfig", one_plus=True)
def nemotron(d):
    c = body(d, eps="norm_eps", act=None, hidden_act="relu2", attention_bias=d.option(False, True), mlp_bias=d.option(False, True))
    return {**c, "partial_rotary_factor": rotary_fraction(d, c["head_dim"], 0.5, 1.0, 0.75, 0.25)}


def experts(d, count, most):
    """(experts, of which a token takes)"""
    many = d.option(4, 5, 6)
    return {count: many, most: d.option(2, 1, 3)}


@family("qwen2_moe", "Qwen2MoeForCausalLM", "Qwen2MoeConfig")
def qwen2_moe(d):
    c = body(d, head_dim=False)
    c["num_hidden_layers"] = d.option(2, 4)
    sliding = d.option(False, True)  # the mask of 4.57.1 is one for all layers, flash attention goes by max_window_layers: 0 means the same to both
    return {**c, **experts(d, "num_experts", "num_experts_per_tok"), "decoder_sparse_step": d.option(1, 2), "mlp_only_layers": d.option([], [1]), "moe_intermediate_size": d.rows(9, 32),
            "shared_expert_intermediate_size": d.rows(9, 40), "norm_topk_prob": d.option(False, True), "qkv_bias": d.option(True, False),
            "use_sliding_window": sliding, "sliding_window": window(d), "max_window_layers": 0 if sliding else 2}


@family("qwen3_moe", "Qwen3MoeForCausalLM", "Qwen3MoeConfig")
def qwen3_moe(d):
    c = body(d, attention_bias=d.option(False, True), rope_scaling=scaling(d, kinds=("yarn",)))
    c["num_hidden_layers"] = d.option(2, 4)
    return {**c, **experts(d, "num_experts", "num_experts_per_tok"), "decoder_sparse_step": d.option(1, 2), "mlp_only_layers": d.option([], [1]), "moe_intermediate_size": d.rows(9, 32),
            "norm_topk_prob": d.option(True, False), "use_sliding_window": d.option(False, True), "sliding_window": window(d)}


@family("mixtral", "MixtralForCausalLM", "MixtralConfig")
def mixtral(d):
    return body(d, sliding_window=d.option(None, 7), **experts(d, "num_local_experts", "num_experts_per_tok")) | {"intermediate_size": d.rows(9, 40)}


@family("olmoe", "OlmoeForCausalLM", "OlmoeConfig")
def olmoe(d):
    return body(d, head_dim=False, clip_qkv=d.option(None, 1.2), attention_bias=d.option(False, True), norm_topk_prob=d.option(False, True),
                **experts(d, "num_experts", "num_experts_per_tok")) | {"intermediate_size": d.rows(9, 40)}


@family("granitemoe", "GraniteMoeForCausalLM", "GraniteMoeConfig")
def granitemoe(d):
    return body(d, head_dim=False, attention_bias=d.option(False, True), embedding_multiplier=d.option(3.0, 0.5), logits_scaling=d.option(1.5, 0.7),
                residual_multiplier=d.option(0.22, 0.7), attention_multiplier=d.option(0.2, 0.6), **experts(d, "num_local_experts", "num_experts_per_tok")) | {
                    "intermediate_size": d.rows(9, 40)}


@family("ernie4_5_moe", "Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeConfig")
def ernie_moe(d):
    c = body(d, head_dim=d.kind != PLAIN, use_bias=d.option(False, True), **experts(d, "moe_num_experts", "moe_k"))
    c["num_hidden_layers"] = d.option(3, 4, 5)
    return {**c, "moe_intermediate_size": d.rows(9, 32), "moe_num_shared_experts": d.option(2, 0, 1), "moe_layer_start_index": d.option(1, 0),
            "moe_layer_end_index": d.option(-1, c["num_hidden_layers"] - 2), "moe_layer_interval": d.option(1, 2), "moe_norm_min": d.option(1e-12, 0.6)}


@family("phimoe", "PhimoeForCausalLM", "PhimoeConfig")
def phimoe(d):
    c = body(d, head_dim=False, attention_bias=d.option(True, False), lm_head_bias=d.option(True, False), num_local_experts=d.option(4, 5, 6), num_experts_per_tok=2,
             router_jitter_noise=d.option(0.01, 0.2), sliding_window=d.option(None, 8))
    pairs = c["hidden_size"] // c["num_attention_heads"] // 2
    factors = {name: [round(1 + low * d.random(), 3) for _ in range(pairs)] for name, low in (("short_factor", 2), ("long_factor", 30))}
    c = {**c, "intermediate_size": d.rows(9, 40), "max_position_embeddings": 256, "tie_word_embeddings": False, "rope_scaling": d.option(
        {"type": "longrope", **factors, "short_mscale": 1.2, "long_mscale": 1.25, "original_max_position_embeddings": 24}, None)}
    return {**c, "original_max_position_embeddings": 24} if c["rope_scaling"] else c


def sigmoid_router(d):
    groups = d.option(1, 2)
    c = body(d, attention_bias=d.option(False, True))
    c["num_hidden_layers"] = d.option(2, 3)
    return {**c, "moe_intermediate_size": d.rows(9, 32), "n_routed_experts": groups * d.option(4, 3), "num_experts_per_tok": d.option(2, 3), "n_shared_experts": d.option(1, 2),
            "n_group": groups, "topk_group": 1, "first_k_dense_replace": d.option(1, 0), "norm_topk_prob": d.option(True, False), "routed_scaling_factor": d.option(1.0, 2.5)}


@family("glm4_moe", "Glm4MoeForCausalLM", "Glm4MoeConfig")
def glm4_moe(d):
    c = sigmoid_router(d)
    return {**c, "use_qk_norm": d.option(False, True), "partial_rotary_factor": rotary_fraction(d, c["head_dim"], 0.5, 1.0, 0.75)}


@family("dots1", "Dots1ForCausalLM", "Dots1Config")
def dots1(d):
    c = sigmoid_router(d)
    return {**c, "sliding_window": window(d), "max_window_layers": d.option(c["num_hidden_layers"], 1), "layer_types": None}


@family("gpt_oss", "GptOssForCausalLM", "GptOssConfig")
def gpt_oss(d):
    c = body(d, **experts(d, "num_local_experts", "num_experts_per_tok"))
    yarn = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 32}
    return {**c, "sliding_window": window(d), "layer_types": layer_types(d, c["num_hidden_layers"]), "rope_scaling": d.option(yarn, {**yarn, "factor": 4.0, "truncate": True}),
            "attention_bias": True, "intermediate_size": d.rows(9, 40), "tie_word_embeddings": False}


@family("llama4_text", "Llama4ForCausalLM", "Llama4TextConfig")
def llama4(d):
    c = body(d, num_local_experts=d.option(4, 3), num_experts_per_tok=d.option(1, 2), attention_bias=d.option(False, True))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "intermediate_size": d.rows(9, 32), "intermediate_size_mlp": d.rows(9, 48), "interleave_moe_layer_step": d.option(1, 2), "use_qk_norm": d.option(True, False),
            "no_rope_layer_interval": d.option(4, 2), "attention_chunk_size": d.option(16, 7, 64), "attn_temperature_tuning": d.option(True, True, False),
            "floor_scale": d.option(8, 3), "attn_scale": d.option(0.1, 0.7), "rope_scaling": d.option(None, {
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32})}


@family("flex_olmo", "FlexOlmoForCausalLM", "FlexOlmoConfig")
def flex_olmo(d):
    return body(d, head_dim=False, attention_bias=d.option(False, True), norm_topk_prob=d.option(False, True), **experts(d, "num_experts", "num_experts_per_tok")) | {
        "intermediate_size": d.rows(9, 40)}


@family("afmoe", "AfmoeForCausalLM", "AfmoeConfig", needs="5.24.0")
def afmoe(d):
    c = body(d, rope_scaling=scaling(d, kinds=("yarn", "linear")), num_experts=d.option(4, 5, 6), num_experts_per_tok=d.option(2, 3))
    c["num_hidden_layers"] = d.option(4, 3, 5)
    return {**c, "num_dense_layers": d.option(1, 0, 2), "moe_intermediate_size": d.rows(9, 32), "num_shared_experts": d.option(1, 2, 0),
            "route_scale": d.option(2.5, 1.0, 0.6), "mup_enabled": d.option(True, False), "sliding_window": window(d),
            "global_attn_every_n_layers": d.option(4, 2), "layer_types": layer_types(d, c["num_hidden_layers"])}


def spread(kind, name, shape, tied):
    """(mean, half width) of the uniform numbers of a saved tensor: norms near what leaves a vector as it is, biases and learned
    scalars away from their initial values, products that keep the size of a vector, logits of a few units."""
    last = name.rsplit(".", 2)[-2:]
    norm = len(shape) == 1 and any(part in name.lower() for part in NORMS) or last[0] in ("q_norm", "k_norm")
    if last[-1] == "e_score_correction_bias":
        return 0.3, 0.2  # positive: a score below 0 would lose to a masked one
    if last[-1] in ("alpha_p", "alpha_n", "sinks"):
        return 0.3, 0.8
    if last[-1] in ("beta", "eps"):  # of xIELU
        return (0.5, 0.15) if last[-1] == "beta" else (-1e-6, 0.0)
    if "bias" in last[-1]:
        return 0.0, 0.4
    if norm:
        return 0.0 if kind.one_plus else 1.0, 0.5
    if any(part in name for part in ("embed", "wte", "wpe", "word_embeddings")) and "norm" not in name and len(shape) == 2 and shape[0] >= 64:
        return 0.0, (round((2 if kind.one_plus else 3) / math.sqrt(shape[1]), 4) if tied else 0.6)
    if "lm_head" in name or "embed_out" in name:
        return 0.0, round(3 / math.sqrt(shape[1]), 4)
    if len(shape) < 2:
        return 0.0, 0.5
    gain = 3.5 if any(part in name for part in ("gate.weight", "router")) and "expert" not in name.replace("shared_expert_gate", "") else 2.4
    return 0.0, round(gain / max(1, shape[-1] * shape[-2]) ** 0.25, 4)  # no shared experts: no rows
