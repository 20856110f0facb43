"""Filters' patterns find what Python's re finds: random patterns on random texts, a fresh seed each time, and the dialect's corners.

    python_re_test.py PATH_OF_python_re_side
"""
import json
import random
import re
import subprocess
import sys
import warnings

CHARACTERS = ["a", "B", "é", "ß", "न", "्", "中", "0", "7", "٣", "½", "_", "-", " ", "\n", "\t", "\x0b", "\x1c", "\u00a0", "\u180e", "\u2028", "[", ":", "]", "{", "}", ",", ".", "!", "\r"]
ATOMS = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", ".", "a", "é", "न", "0", "_", " ", r"\.", r"\v", r"\x41", r"\u0928", r"\n", "{", ",", "]", r"\b", r"\B", "^", "$", r"\A", r"\Z", r"\-", r"\[", r"\101", r"\0"]
IN_SET = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", "a", "z", "é", "0", "_", "[", ":", ".", r"\]", r"\n", r"\b", r"\x41-\x5a", "a-f", "0-9", "-", "alpha:", "{,3}", "&&", "^"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{,2}", "{1,}", "{1,3}", "*?", "+?", "{,}", "{ 1}", "{a}"]
CORNERS = [r"[[:alpha:]]+", r"-?\d{,3}", r"[+-]?\d{,2}\.?\d+", r"\v+", r"(?P<n>a)(?P=n)", r"(a|b)\1", r"(?i)É", r"(?s).+", r"(?m)^.", r"[]a]+", r"[^]a]+", r"[a\-z]+", r"x{,3}y", r"(?:a(?=\W))|\Z", r"[\s\S]", r"[^\S\n]+", r"[\W\d]+", r"[^\W\d_]+", r"(?#c)a", r"(?u)\w+", r"\U0001F600", r"[\b]"]


def atom(rng, depth):
    draw = rng.random()
    if draw < 0.25:
        items = "".join(rng.choice(IN_SET) for _ in range(rng.randint(1, 4)))
        return "[" + ("^" if rng.random() < 0.3 else "") + items + "]"
    if draw < 0.4 and depth < 2:
        return rng.choice(["(", "(?:", "(?=", "(?!", "(?<=", "(?<!"]) + expression(rng, depth + 1) + ")"
    return rng.choice(ATOMS)


def expression(rng, depth=0):
    one = ""
    for _ in range(rng.randint(1, 3)):
        made = atom(rng, depth)
        one += made + rng.choice(QUANTIFIERS if made[0] != "(" else ["", "?"])  # repeated repetitions take for ever, and of empty ones the engines differ
    return one + "|" + expression(rng, depth + 1) if rng.random() < 0.15 else one


def expected(pattern, text):
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:
        return {"refused": str(error)}
    groups = compiled.groups
    found = [[m.group(g) or "" for g in (range(1, groups + 1) if groups else [0])] for m in compiled.finditer(text)]
    return {"found": found}


def main():
    warnings.simplefilter("ignore")
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    cases = [(pattern, "".join(rng.choice(CHARACTERS) for _ in range(30)) + "aA+12.5 xxy\nÉb") for pattern in CORNERS]
    cases += [(expression(rng), "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(0, 25)))) for _ in range(6000)]
    lines = "".join(json.dumps({"pattern": pattern, "text": text}) + "\n" for pattern, text in cases)
    out = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert len(out) == len(cases)
    found = refused = more = 0
    for (pattern, text), line in zip(cases, out):
        got, wanted = json.loads(line), expected(pattern, text)
        if "found" in wanted and "found" in got:
            assert got == wanted, f"seed {seed}: {pattern!r} on {text!r}: {got} for {wanted}"
            found += 1
        elif "refused" in wanted:
            refused += 1  # PCRE2 may do more than Python; that is not a wrong figure
        else:
            more += 1
            assert "regular expression" in got["refused"], got
    print(f"{len(cases)} patterns, seed {seed}: {found} find the same, {refused} are Python errors, {more} are refused here alone")
    assert found > 0.5 * len(cases) and more < 0.1 * len(cases)


main()
