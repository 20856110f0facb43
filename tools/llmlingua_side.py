"""llmlingua 0.2.2 as AutoRAG calls it, made to run with transformers 4.57: the other side of compare_llmlingua."""
import json
import sys
import time

INSTRUCTION = "Given the context, please answer the final question"


def compressor_of(model):
    """A function (passages, question, target_tokens) -> what is kept of the passages."""
    import tiktoken

    class Characters:
        """In place of OpenAI's tokenizer, which is downloaded and only counts what is printed."""

        def encode(self, text):
            return list(text)

    tiktoken.encoding_for_model = lambda name: Characters()
    import transformers
    from llmlingua import PromptCompressor

    compressor = PromptCompressor(model, device_map="cpu")
    forward = compressor.model.forward

    def forward_with_cache(*args, past_key_values=None, **more):
        """transformers takes a Cache by now, where llmlingua hands over a list of (keys, values)."""
        if isinstance(past_key_values, list):
            past_key_values = transformers.DynamicCache.from_legacy_cache(tuple((k, v) for k, v in past_key_values))
        return forward(*args, past_key_values=past_key_values, **more)

    compressor.model.forward = forward_with_cache

    def compress(passages, question, target_tokens):
        text = compressor.compress_prompt(passages, instruction=INSTRUCTION, question=question, target_token=target_tokens,
                                          rank_method="longllmlingua")["compressed_prompt"]
        return text.removeprefix(INSTRUCTION + "\n\n").removesuffix("\n\n" + question)

    return compress


def main():
    """llmlingua_side.py MODEL ROWS.jsonl OUT.jsonl THREADS"""
    import torch

    model, rows, out, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    compress = compressor_of(model)
    with open(rows, encoding="utf-8") as source, open(out, "w", encoding="utf-8") as file:
        for line in source:
            row, began = json.loads(line), time.monotonic()
            text = compress(row["passages"], row["question"], row["target_tokens"])
            file.write(json.dumps({"text": text, "seconds": time.monotonic() - began}) + "\n")
            file.flush()
            print(f"llmlingua: {time.monotonic() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
