#!/usr/bin/env python3
"""Scores of query and passage by each reranking kind, on the tiny models, computed with transformers.

    make_rerank_goldens.py > ../data/goldens/rerank_goldens.json

The methods are written out here as their papers' own code and AutoRAG's have them (reference and autorag); FlagEmbedding
computes the LLM reranker's. Needs the oracle's environment (tools/compare_lm_eval says how it is made) and FlagEmbedding.
"""
import copy
import json
import string
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import safetensors.torch
import torch
import transformers
from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker
from transformers.models.t5.modeling_t5 import T5Stack

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

QUERIES = ["who wrote it", "a longer question about the capital of France, and where it lies"]
PASSAGES = ["Paris", "the capital of France is Paris, on the Seine", "", "a passage that is so long that it has to be cut: it goes on and on, and on, and on after that",
            "12.5 apples"]
PAIRS = [[query, passage] for query in QUERIES for passage in PASSAGES]
WRITTEN_PADDING = [["who [PAD] wrote it", "the capital [PAD] of [PAD] France"], ["who wrote it", "[PAD]"], ["[PAD]", "12.5 apples"]]


def tokenizer_of(folder):
    return transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")


def t5_of(folder, **changes):
    name = "MT5ForConditionalGeneration" if "mt5" in folder else "T5ForConditionalGeneration"
    return getattr(transformers, name).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **changes).eval()


def monot5(folder, autorag):
    tokenizer, model = tokenizer_of(folder), t5_of(folder)
    words = ["▁no", "▁yes"] if "mt5" in folder else ["▁false", "▁true"]
    no, yes = (tokenizer.get_vocab()[word] for word in words)
    scores = []
    for query, passage in PAIRS:
        text = f"Query: {query} Document: {passage}" + ("" if autorag else " Relevant:")
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=512)["input_ids"]])
        if autorag:
            out = model.generate(input_ids=ids, output_scores=True, return_dict_in_generate=True, do_sample=False, max_length=20)
            logits = out.scores[-1][0]
        else:
            logits = model(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
        scores.append(float(torch.softmax(logits[[no, yes]].double(), 0)[1]))
    return scores


def upr(folder):
    tokenizer, model = tokenizer_of(folder), t5_of(folder)
    scores = []
    for query, passage in PAIRS:
        context = tokenizer(f"Passage:  {passage} Please write a question based on this passage.", truncation=True, max_length=512)["input_ids"]
        question = torch.tensor([tokenizer(query, truncation=True, max_length=128)["input_ids"]])
        logits = model(input_ids=torch.tensor([context]), labels=question).logits
        scores.append(float(torch.log_softmax(logits.double(), -1).gather(2, question.unsqueeze(2)).sum()))
    return scores


class EncT5(transformers.T5PreTrainedModel):
    """T5's encoder and a linear layer on its first state."""

    def __init__(self, config):
        super().__init__(config)
        self.shared = torch.nn.Embedding(config.vocab_size, config.d_model)
        inner = copy.deepcopy(config)
        inner.is_decoder, inner.use_cache, inner.is_encoder_decoder = False, False, False
        self.encoder = T5Stack(inner, self.shared)
        self.classifier = torch.nn.Linear(config.d_model, config.num_labels)

    def forward(self, ids):
        return self.classifier(self.encoder(input_ids=ids).last_hidden_state[:, 0])


def tart(folder):
    tokenizer, model = tokenizer_of(folder), EncT5.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    begin, end, most = 3, 1, 64
    scores = []
    for query, passage in PAIRS:
        first = tokenizer(f"Find passage to answer given question [SEP] {query}", add_special_tokens=False)["input_ids"]
        second = tokenizer(passage, add_special_tokens=False)["input_ids"]
        while len(first) + len(second) > most - 3:  # longest_first, as tokenizers written in Python have it
            longer = first if len(first) > len(second) else second
            longer.pop()
        ids = torch.tensor([[begin] + first + [end] + second + [end]])
        scores.append(float(torch.softmax(model(ids)[0].double(), 0)[1]))
    return scores


def colbert(folder, autorag, pairs=None):
    """As colbert-ai: '. ' before a text gives way to a marker, a query is filled up with [MASK], which is matched and not attended, a
    passage's punctuation is not matched; the sum of the largest cosines. A padding token written in a text is not matched in a passage and
    becomes [MASK] in a query. AutoRAG: the mean of a plain encoder's."""
    tokenizer = tokenizer_of(folder)
    vocab = tokenizer.get_vocab()
    config = transformers.BertConfig.from_pretrained(folder)
    tensors = safetensors.torch.load_file(f"{folder}/model.safetensors")
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    model.load_state_dict({name.removeprefix("bert."): tensor for name, tensor in tensors.items() if name != "linear.weight"})
    skipped = {tokenizer.encode(symbol, add_special_tokens=False)[0] for symbol in string.punctuation} | {vocab["[PAD]"]}

    def vectors(ids, attended):
        states = model(torch.tensor([ids]), attention_mask=torch.tensor([attended])).last_hidden_state[0]
        return torch.nn.functional.normalize((states if autorag else states @ tensors["linear.weight"].T).double(), dim=1)

    def marked(text, marker, most):
        ids = tokenizer(". " + text, truncation=True, max_length=most)["input_ids"]
        return ids[:1] + [vocab[marker]] + ids[2:]

    scores = []
    for query, passage in pairs or PAIRS:
        if autorag:
            both = [tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in (query, passage)]
            q, d = (vectors(ids, [1] * len(ids)) for ids in both)
            scores.append(float((q @ d.T).amax(1).mean()))
            continue
        ids = [vocab["[MASK]"] if token == vocab["[PAD]"] else token for token in marked(query, "[unused0]", 24)]
        q = vectors(ids + [vocab["[MASK]"]] * (24 - len(ids)), [1] * len(ids) + [0] * (24 - len(ids)))
        ids = marked(passage, "[unused1]", 48)
        d = vectors(ids, [1] * len(ids))[[i for i, token in enumerate(ids) if token not in skipped]]
        scores.append(float((q @ d.T).amax(1).sum()))
    return scores


LLM_PROMPT = "Is B an answer to A? 'Yes' or 'No'."


def llm_reranker(folder, normalize):
    reranker = BaseLLMReranker(folder, devices="cpu", prompt=LLM_PROMPT, max_length=64, normalize=normalize)
    reranker.tokenizer.pad_token = "</s>"
    return reranker.compute_score_single_gpu(reranker.get_detailed_inputs(PAIRS), batch_size=4, device="cpu")


def only_second(folder):
    """FlagEmbedding's cross-encoder: the query keeps three quarters of the length, then the passage is cut; the plain logit."""
    tokenizer = tokenizer_of(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    scores = []
    for query, passage in PAIRS:
        first = tokenizer(query, add_special_tokens=False, truncation=True, max_length=ONLY_SECOND * 3 // 4)["input_ids"]
        second = tokenizer(passage, add_special_tokens=False)["input_ids"][:ONLY_SECOND - 3 - len(first)]
        ids = torch.tensor([[2] + first + [3] + second + [3]])
        types = torch.tensor([[0] * (len(first) + 2) + [1] * (len(second) + 1)])
        scores.append(float(model(ids, token_type_ids=types).logits[0, -1]))
    return scores


ONLY_SECOND = 40


def rankgpt(folder):
    """RankGPT's words and its reading of an answer (sunnweiwei/RankGPT's receive_permutation), all passages at once, as "role: text" lines."""
    tokenizer = tokenizer_of(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    count, scores = len(PASSAGES), []
    for query in QUERIES:
        turns = [("system", "You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the query."),
                 ("user", f"I will provide you with {count} passages, each indicated by number identifier []. \nRank the passages based on their relevance to query: {query}."),
                 ("assistant", "Okay, please provide the passages.")]
        for rank, passage in enumerate(PASSAGES, 1):
            turns += [("user", f"[{rank}] {' '.join(passage.split()[:300])}"), ("assistant", f"Received passage [{rank}].")]
        turns.append(("user", f"Search Query: {query}. \nRank the {count} passages above based on their relevance to the search query. The passages should be listed in "
                              "descending order using identifiers. The most relevant passages should be listed first. The output format should be [] > [], e.g., "
                              "[1] > [2]. Only response the ranking results, do not say any word or explain."))
        prompt = "\n".join(f"{role}: {text}" for role, text in turns) + "\nassistant: "
        ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        written = tokenizer.decode(model.generate(ids, do_sample=False, max_new_tokens=8 * count, eos_token_id=257, pad_token_id=257)[0, ids.shape[1]:], skip_special_tokens=True)
        named = [int(word) - 1 for word in "".join(c if c.isdigit() and c.isascii() else " " for c in written.split("\nuser:")[0]).split()]
        order = list(dict.fromkeys([place for place in named if 0 <= place < count] + list(range(count))))
        scores += [1 - order.index(place) / (count - 1) for place in range(count)]
    return scores


def over_passages(folder):
    """KoReranker: the softmax of the logits over one query's passages."""
    tokenizer = tokenizer_of(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    logits = []
    for query, passage in PAIRS:
        encoded = tokenizer([query], [passage], truncation="longest_first", max_length=64, return_tensors="pt")
        logits.append(model(encoded["input_ids"], token_type_ids=encoded["token_type_ids"]).logits[0, 0].double())
    count = len(PASSAGES)
    return torch.cat([torch.softmax(torch.stack(logits[i:i + count]), 0) for i in range(0, len(logits), count)]).tolist()


def main():
    with tempfile.TemporaryDirectory() as root, torch.no_grad():
        tiny_models.main(root)
        cases = []

        def case(kind, model, scores, **module):
            cases.append({"kind": kind, "model": model, **module, "scores": scores})

        case("monot5", "t5", monot5(f"{root}/t5", False))
        case("monot5", "t5", monot5(f"{root}/t5", True), options={"compat": "autorag"})
        case("monot5", "mt5", monot5(f"{root}/mt5", False))
        case("upr", "t5", upr(f"{root}/t5"))
        case("upr", "mt5", upr(f"{root}/mt5"))
        case("tart", "enc_t5", tart(f"{root}/enc_t5"))
        case("colbert", "colbert", colbert(f"{root}/colbert", False))
        padding = {"kind": "colbert", "model": "colbert", "pairs": WRITTEN_PADDING, "scores": colbert(f"{root}/colbert", False, WRITTEN_PADDING)}
        case("colbert", "bert", colbert(f"{root}/bert", True), options={"compat": "autorag"})
        for model in ("llama", "qwen3"):
            case("llm_reranker", model, llm_reranker(f"{root}/{model}", False), options={"prompt": LLM_PROMPT}, max_length=64)
        case("llm_reranker", "llama", llm_reranker(f"{root}/llama", True), options={"prompt": LLM_PROMPT, "normalize": True}, max_length=64)
        case("cross_encoder", "bert_pairs", over_passages(f"{root}/bert_pairs"), options={"activation": "over_passages"})
        case("cross_encoder", "bert_pairs", only_second(f"{root}/bert_pairs"), options={"activation": "identity", "truncation": "only_second"}, max_length=ONLY_SECOND)
        case("rankgpt", "llama_long", rankgpt(f"{root}/llama_long"))
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}, FlagEmbedding {metadata.version('FlagEmbedding')}"
    print(json.dumps({"made_with": versions, "pairs": PAIRS, "cases": cases, "written_padding": padding}))


if __name__ == "__main__":
    main()
