"""A real trained model of 260,000 parameters (llama2.c's stories260K, converted here): its 200 greedy tokens, exactly."""
import json
import struct
import unittest
from pathlib import Path

from support import RunCase, tiny_models

STORIES = Path(__file__).parent.parent / "data/models/stories260K"


def read_model():
    """llama2.c's legacy export: seven int32, then float32 tensors, all layers of a kind together."""
    data = (STORIES / "stories260K.bin").read_bytes()
    dim, inner, layers, heads, kv_heads, vocabulary, length = struct.unpack("<7i", data[:28])
    numbers = struct.unpack(f"<{(len(data) - 28) // 4}f", data[28:])
    kv, at, tensors = dim * kv_heads // heads, 0, {}

    def take(shape, *names):
        nonlocal at
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        for name in names:
            tensors[name] = (shape, numbers[at:at + count])
            at += count

    def each(tensor):
        return [f"model.layers.{i}.{tensor}.weight" for i in range(layers)]
    take([vocabulary, dim], "model.embed_tokens.weight")
    take([dim], *each("input_layernorm"))
    take([dim, dim], *each("self_attn.q_proj"))
    take([kv, dim], *each("self_attn.k_proj"))
    take([kv, dim], *each("self_attn.v_proj"))
    take([dim, dim], *each("self_attn.o_proj"))
    take([dim], *each("post_attention_layernorm"))
    take([inner, dim], *each("mlp.gate_proj"))
    take([dim, inner], *each("mlp.down_proj"))
    take([inner, dim], *each("mlp.up_proj"))
    take([dim], "model.norm.weight")
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": dim, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "vocab_size": vocabulary, "max_position_embeddings": length, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": True, "rope_interleaved": True, "torch_dtype": "float32"}
    return config, tensors


def read_tokenizer():
    data = (STORIES / "tok512.bin").read_bytes()
    pieces, at = [], 4
    while at < len(data):
        size = struct.unpack("<i", data[at + 4:at + 8])[0]
        pieces.append(data[at + 8:at + 8 + size].decode().strip("\n").replace(" ", "\u2581") or "\n")
        at += 8 + size
    special = [{"id": i, "content": pieces[i], "special": True} for i in range(3)]
    decoders = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    return {"added_tokens": special, "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "vocab": {p: i for i, p in enumerate(pieces)}, "merges": []}}


class Stories(RunCase):
    def test_its_200_greedy_tokens_are_exact(self):
        config, tensors = read_model()
        folder = self.root / "stories"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(tiny_models.safetensors(tensors))
        for file, content in {"config.json": config, "tokenizer.json": read_tokenizer(), "tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>"}}.items():
            (folder / file).write_text(json.dumps(content))
        self.rows("start", [{"text": ""}])
        self.write("start.yaml", {"task": "start", "type": "generate_until", "data": {"test": "start.jsonl"}, "prompt": "{{text}}", "target": "-",
                                  "generation": {"until": [], "max_gen_toks": 200}})
        self.write("suite.yaml", {"suite": "stories", "modules": [{"name": "m", "path": "stories"}], "tasks": ["start.yaml"]})
        self.run_suite("run")
        sample = json.loads((self.root / "run/samples/m/start.jsonl").read_text())
        self.assertEqual(sample["resps"][0][0], (STORIES / "greedy_200_tokens.txt").read_text().rstrip("\n"))


if __name__ == "__main__":
    unittest.main()
