#!/usr/bin/env python3
"""Small tokenizers of each family, and what the `tokenizers` library makes of hard texts with them -> tests/data/tokenizers

    make_tokenizer_goldens.py ../data/tokenizers     (in a venv with tokenizers 0.22)

Each has its family's normaliser, pre-tokenizer, post-processor and decoder, and a vocabulary of some hundred tokens trained
here, on the texts of tests/data/benchmarks and those below. T5's and XLM-R's normaliser (sentencepiece's nmt_nfkc) is read
from a tokenizer.json named by T5_TOKENIZER where it is set; without it the file that is there is kept.
"""
import gzip
import json
import os
import random
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, trainers

DATA = Path(__file__).resolve().parents[1] / "data"
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = [
    "The quick brown fox jumps over the lazy dog.", "  leading and trailing  ", "tabs\tand\nnew\r\nlines\n\n\n", "don't, we'll, I'M, they'd", "12345 3.14159 1,000,000 2026-11-29",
    "naïve café coöperate Ångström", "e\u0301 and \u00e9 and ﬁ", "Ⅷ ½ ㎏ ｆｕｌｌｗｉｄｔｈ", "日本語のテキスト、中文字符。한국어 문장", "Привет, мир! Ελληνικά", "नमस्ते दुनिया", "مرحبا بالعالم", "שלום עולם",
    "สวัสดี", "🙂👩‍👩‍👧🇩🇪 flags", "zero\u200bwidth \u00a0 non-breaking", "a\u0300\u0301\u0302", "<s> </s> <unk> [CLS] [SEP] <|endoftext|>", "def f(x):\n    return x ** 2  # square\n",
    "https://example.org/a?b=c&d=%20", "¡Hola! ¿Qué tal?", "İstanbul ß ẞ ﬀ", "\u180e mongolian", "\ufeffbom", "x" * 70, "", " ", "\n", "¯\\_(ツ)_/¯", "a b  c   d    e", "OK?!... --- ***", "\U0001d54f\U0001d550 math",
]
PAIRS = [("who?", "the capital of France is Paris"), ("", "a"), ("  x ", " y\n"), ("日本", "🙂")]


def level(**changes):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **changes}


def split(digits):
    return {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": SPLIT % digits}, "behavior": "Isolated", "invert": False}, level(use_regex=False)]}


def template(single, pair):
    def pieces(text):
        types = dict(piece.split(":") if ":" in piece else (piece, "0") for piece in text.split())
        return [{"Sequence": {"id": name, "type_id": int(kind)}} if name in "AB" else {"SpecialToken": {"id": name.split("#")[0], "type_id": int(kind)}} for name, kind in types.items()]

    return lambda token_id: {
        "type": "TemplateProcessing",
        "single": pieces(single),
        "pair": pieces(pair),
        "special_tokens": {name: {"id": name, "ids": [token_id(name)], "tokens": [name]} for name in {p.split(":")[0].split("#")[0] for p in pair.split()} - {"A", "B"}},
    }


META = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
SENTENCEPIECE = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
BYTES = [f"<0x{i:02X}>" for i in range(256)]
FAMILIES = {
    "llama3": ("bpe", ["<|begin_of_text|>", "<|end_of_text|>"], None, split("{1,3}"), lambda i: {"type": "Sequence", "processors": [level(trim_offsets=False), template("<|begin_of_text|> A", "<|begin_of_text|> A <|begin_of_text|>#2:1 B:1")(i)]}, level()),
    "qwen": ("bpe", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], {"type": "NFC"}, split(""), lambda i: level(use_regex=False), level()),
    "llama2": ("bpe-bytes", ["<unk>", "<s>", "</s>"], {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, None, template("<s> A", "<s> A <s>#2:1 B:1"), {"type": "Sequence", "decoders": [*SENTENCEPIECE, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}),
    "gemma": ("bpe-bytes", ["<pad>", "<eos>", "<bos>", "<unk>"], {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}, template("<bos> A", "<bos> A <bos>#2:1 B:1"), {"type": "Sequence", "decoders": SENTENCEPIECE}),
    "gpt_neox": ("bpe", ["<|endoftext|>", "<|padding|>"], {"type": "NFC"}, level(), lambda i: level(), level()),
    "roberta": ("bpe", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], None, level(), lambda i: {"type": "RobertaProcessing", "sep": ["</s>", i("</s>")], "cls": ["<s>", i("<s>")], "trim_offsets": True, "add_prefix_space": False}, level()),
    "bert": ("wordpiece", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}, {"type": "BertPreTokenizer"}, template("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]#2:1"), {"type": "WordPiece", "prefix": "##", "cleanup": True}),
    "t5": ("unigram", ["<pad>", "</s>", "<unk>"], "nmt_nfkc", {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, META]}, template("A </s>", "A </s> B </s>#2"), META),
    "xlm_roberta": ("unigram", ["<s>", "<pad>", "</s>", "<unk>"], "nmt_nfkc", {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, META]}, template("<s> A </s>", "<s> A </s> </s>#2 B </s>#3"), META),
}


def corpus():
    lines = [line for path in sorted((DATA / "benchmarks").glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()[:12]]
    return [str(value) for line in lines for value in json.loads(line).values()] + TEXTS * 3


def nmt_nfkc(folder):
    if source := os.environ.get("T5_TOKENIZER"):
        return json.loads(Path(source).read_text(encoding="utf-8"))["normalizer"]
    return json.loads((folder / "t5.json").read_text(encoding="utf-8"))["normalizer"]


def trained(kind, special):
    if kind == "wordpiece":
        return models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    if kind == "unigram":
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=600, special_tokens=special, unk_token="<unk>", show_progress=False)
    if kind == "bpe-bytes":
        return models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainers.BpeTrainer(vocab_size=900, special_tokens=[*special, *BYTES], limit_alphabet=120, show_progress=False)
    from tokenizers.pre_tokenizers import ByteLevel

    return models.BPE(), trainers.BpeTrainer(vocab_size=700, special_tokens=special, initial_alphabet=ByteLevel.alphabet(), show_progress=False)


def build(name, folder):
    kind, special, normalizer, pre_tokenizer, post_processor, decoder = FAMILIES[name]
    normalizer = nmt_nfkc(folder) if normalizer == "nmt_nfkc" else normalizer
    model, trainer = trained(kind, special)
    tokenizer = Tokenizer(model)
    pipeline = json.loads(tokenizer.to_str())
    pipeline.update(normalizer=normalizer, pre_tokenizer=pre_tokenizer)
    tokenizer = Tokenizer.from_str(json.dumps(pipeline))
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    whole = json.loads(tokenizer.to_str())
    if kind == "bpe-bytes":  # bytes are words of the vocabulary, not special tokens
        whole["added_tokens"] = [token for token in whole["added_tokens"] if token["content"] in special]
    whole.update(post_processor=post_processor(tokenizer.token_to_id), decoder=decoder)
    return Tokenizer.from_str(json.dumps(whole)), whole


def generated(rng):
    alphabet = "ab AB 01 .,'\n\t-_éüß日本한Жהअ🙂\u200d\u0301\u00a0"
    return ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 24))) for _ in range(40)]


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name in FAMILIES:
        tokenizer, whole = build(name, folder)
        lines = []
        for text in [*TEXTS, *generated(random.Random(name))]:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            lines.append({"text": text, "ids": ids, "ids_special": tokenizer.encode(text).ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        for pair in PAIRS:
            encoding = tokenizer.encode(*pair)
            lines.append({"pair": pair, "ids_special": encoding.ids, "type_ids": encoding.type_ids})
        (folder / f"{name}.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        with gzip.GzipFile(folder / f"{name}.golden.jsonl.gz", "wb", mtime=0) as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())


main()
