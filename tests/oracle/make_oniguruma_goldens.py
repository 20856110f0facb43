#!/usr/bin/env python3
"""What the `tokenizers` library's regular expressions (Oniguruma 6.9.10) make of texts -> tests/data/goldens/oniguruma_goldens.json

    make_oniguruma_goldens.py [SEED]     (in a venv with tokenizers 0.22.1)

Replace(Regex(pattern), "#") on each text: the corners of the dialect, then patterns made at random.
"""
import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, normalizers

CHARACTERS = ["a", "B", "z", "é", "ß", "न", "्", "中", "0", "7", "٣", "½", "²", "_", "-", " ", "\n", "\t", "\x0b", "\x1c", "\u00a0", "\u180e", "\u2028", "\u200d", "Ⓐ", "Ⅷ", "[", ":", "]", "{", "}", ",", ".", "!", "\r", "'", "s"]
ATOMS = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\h", r"\H", ".", "a", "é", "न", "0", "_", " ", r"\.", r"\v", r"\x41", r"\x{928}", r"\u4e2d", r"\xC3\xA9", r"\n", "{", ",", "]", r"\b", r"\B", "^", "$", r"\A", r"\z", r"\Z", r"\-", r"\[", r"\101", r"\p{L}", r"\P{L}", r"\p{^N}", r"\p{Alpha}", r"\p{Han}", r"\p{Lu}", r"\R", "'", r"\q", r"\p{M}", r"\N", r"\O", r"\p{Letter}", r"\p{Decimal_Number}"]
IN_SET = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\h", "a", "z", "é", "0", "_", "[:alpha:]", "[:^digit:]", "[:space:]", "[:word:]", "[:punct:]", "[:alnum:]", ".", r"\]", r"\n", r"\x41-\x5a", "a-f", "0-9", "-", "&&", "[a-c]", "[^a-m]", r"\p{L}", r"\P{N}", "^", r"\p{M}", "!", ",", "{"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{,2}", "{1,}", "{1,3}", "*?", "+?", "{ 1}", "{1,2}+", "{2}?", "{1,2}?"]
CORNERS = [
    ("^", "ab\ncd"), ("$", "ab\ncd\n"), (r"\Z", "ab\n"), (".", "a\nb"), ("(?m:.)", "a\nb"), ("(?s:.)", "a"), ("(?i)A", "aA"), ("a{,2}", "aaaab"), ("a{2}{3}", "aaaaaaa"), ("[a-c&&b-z]", "abcd"), ("[a[bc]]", "abcd"), ("[^a[bc]]", "abcd"),
    (r"[\w&&[^\d]]", "a1"), (r"\xe9", "é"), (r"\xC3\xA9", "é"), (r"\pL", "pLa"), (r"(?<n>a)\k<n>", "aa"), (r"(a)\1", "aa"), ("a{1,2}+", "aaaa"), ("(?<=a|bc)d", "adbcd"), ("[]a]", "]a"), (r"\08", "\x008"), ("a{1", "a{1"), ("(?a)a", "a"),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", "It's नमस्ते 1234\n\n  x!"), (r" ?[^(\s|[.,!?…。，、।۔،])]+", "ab, cd. (ef)"), (r"(?=\d)", "ab12"), (r"\bनम", "नमस्ते"), ("[a-\\d]", "a-1"),
]


def main():
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 7)

    def atom(depth):
        draw = rng.random()
        if draw < 0.3:
            return "[" + ("^" if rng.random() < 0.3 else "") + "".join(rng.choice(IN_SET) for _ in range(rng.randint(1, 4))) + "]"
        if draw < 0.42 and depth < 2:
            return rng.choice(["(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?m:", "(?i:"]) + expression(depth + 1) + ")"
        return rng.choice(ATOMS)

    def expression(depth=0):
        made = ""
        for _ in range(rng.randint(1, 3)):
            one = atom(depth)
            made += one + rng.choice(QUANTIFIERS if one[0] != "(" else ["", "?"])
        return made + "|" + expression(depth + 1) if rng.random() < 0.15 else made

    cases = []
    for pattern, text in CORNERS + [(expression(), "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(0, 20)))) for _ in range(1500)]:
        try:
            cases.append({"pattern": pattern, "text": text, "out": normalizers.Replace(Regex(pattern), "#").normalize_str(text)})
        except Exception as error:
            if "Oniguruma" not in str(error):
                raise
            cases.append({"pattern": pattern, "text": text, "refused": str(error)})
    (Path(__file__).resolve().parents[1] / "data/goldens/oniguruma_goldens.json").write_text(json.dumps({"cases": cases}, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
