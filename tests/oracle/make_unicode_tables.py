#!/usr/bin/env python3
"""What Hugging Face's tokenizers takes each code point for -> worker/tokenizer/unicode_tables.cc

    make_unicode_tables.py > ../../worker/tokenizer/unicode_tables.cc     (in a venv with tokenizers 0.22)

The library asks Unicode in several ways, each with the tables of another version: Rust's regex and Oniguruma with 16, its normal forms and
marks with much older ones. Whatever it answers is written down here, by asking it of every code point.
"""
import sys
import unicodedata
from importlib import metadata

from tokenizers import Regex, normalizers, pre_tokenizers

BASE = "14.0.0"  # of the Unicode data that PCRE2 10.40 and later have at least
assert unicodedata.unidata_version == BASE, "later code points are told by this Python's own tables"
POINTS = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
ALL = "".join(map(chr, POINTS))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
SCRIPTS = ["Han", "Hiragana", "Katakana", "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Telugu", "Kannada", "Malayalam", "Gujarati",
           "Gurmukhi", "Oriya", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Mongolian", "Ethiopic", "Georgian", "Armenian", "Hangul", "Bopomofo", "Common",
           "Inherited", "Balinese", "Egyptian_Hieroglyphs", "Duployan", "Syriac", "Cherokee", "Glagolitic", "Khojki"]


def points_of(pattern):
    """Those that Oniguruma finds."""
    rest = set(normalizers.Replace(Regex(pattern), "").normalize_str(ALL))
    return [point for point in POINTS if chr(point) not in rest]


def ranges(points):
    out = []
    for point in points:
        if out and out[-1][1] == point - 1:
            out[-1][1] = point
        else:
            out.append([point, point])
    return out


def table(name, points):
    write(f"std::span<const CodePointRange> {name}()", [f"{{0x{first:x}, 0x{last:x}}}" for first, last in ranges(points)], "CodePointRange")


def write(signature, entries, kind):
    print(f"{signature} {{\n  static constexpr {kind} kTable[] = {{")
    line = ""
    for entry in entries:
        if len(line) + len(entry) > 108:
            print("      " + line.rstrip())
            line = ""
        line += entry + ", "
    print("      " + line.rstrip(", ") + "};\n  return kTable;\n}\n")


def parts(tokenizer, point):
    return len(tokenizer.pre_tokenize_str("a" + chr(point) + "a"))


def gone(normalizer):
    return [point for point in POINTS if normalizer.normalize_str(chr(point)) == ""]


def inert():
    """Those that the library's normal forms leave alone where today's tables do not: no parts, no class, no part in a composition."""
    nfkd, nfd = normalizers.NFKD(), normalizers.NFD()
    out = []
    for point in POINTS:
        one = chr(point)
        ordered = nfd.normalize_str(one + "\u0334") != one + "\u0334" or nfd.normalize_str("\u0315" + one) != "\u0315" + one
        if nfkd.normalize_str(one) == one and not ordered and unicodedata.category(one) != "Cn":
            if unicodedata.normalize("NFKD", one) != one or unicodedata.combining(one) or one in COMPOSING:
                out.append(point)
    return out


COMPOSING = {part for point in POINTS for part in unicodedata.normalize("NFD", chr(point)) if unicodedata.normalize("NFC", unicodedata.normalize("NFD", chr(point))) == chr(point)
             and len(unicodedata.normalize("NFD", chr(point))) > 1 and normalizers.NFD().normalize_str(chr(point)) == chr(point)}


# Code points of Unicode 14 that have a property since, found by comparing every code point with PCRE2 10.42's.
CHANGED = {"Alphabetic": [(0x363, 0x36F), (0xC04, 0xC04), (0xF82, 0xF83), (0x1DD3, 0x1DE6), (0x11080, 0x11081)], "Uppercase": [],
           "Lowercase": [(0x10FC, 0x10FC), (0xA7F2, 0xA7F4), (0xAB69, 0xAB69)]}


def main():
    print(f"// Made by tests/oracle/make_unicode_tables.py with tokenizers {metadata.version('tokenizers')}; do not edit.\n"
          '#include "worker/tokenizer/unicode_tables.h"\n\nnamespace proctor {\n')
    white, punctuation, digits = pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("removed"), pre_tokenizers.Digits(True)
    table("rust_word", [point for point in POINTS if parts(white, point) == 1])
    table("rust_punctuation", [point for point in POINTS if parts(punctuation, point) == 2])
    table("rust_numeric", [point for point in POINTS if parts(digits, point) == 3 or chr(point) in "0123456789"])
    bert = lambda **on: normalizers.BertNormalizer(**{"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False, **on})  # noqa: E731
    table("rust_other", [point for point in gone(bert(clean_text=True)) if point not in (0, 0xFFFD)])
    table("rust_nonspacing_marks", gone(bert(strip_accents=True)))
    table("rust_marks", gone(normalizers.StripAccents()))
    table("inert_in_normal_forms", inert())
    later = [(chr(p), p) for p in POINTS if unicodedata.category(chr(p)) == "Cn"]
    known = {p for _, p in later}
    rows = []
    for category in CATEGORIES:
        of = points_of(f"\\p{{{category}}}")
        changed = [p for p in of if p not in known and unicodedata.category(chr(p)) != category]
        if changed:
            print(f"changed: {category} {[(hex(p), unicodedata.category(chr(p))) for p in changed]}", file=sys.stderr)
        rows += [(first, last, category) for first, last in ranges([p for p in of if p in known])]
    write("std::span<const NamedRange> later_categories()", [f'{{0x{a:x}, 0x{b:x}, "{name}"}}' for a, b, name in sorted(rows)], "NamedRange")
    rows = []
    for script in SCRIPTS:
        rows += [(first, last, script) for first, last in ranges([p for p in points_of(f"\\p{{{script}}}") if p in known])]
    write("std::span<const NamedRange> later_scripts()", [f'{{0x{a:x}, 0x{b:x}, "{name}"}}' for a, b, name in sorted(rows)], "NamedRange")
    alphabetic = {name: [p for p in points_of(f"\\p{{{name}}}") if p in known or any(a <= p <= b for a, b in CHANGED[name])] for name in CHANGED}
    write("std::span<const NamedRange> later_properties()", [f'{{0x{a:x}, 0x{b:x}, "{name}"}}' for name, of in alphabetic.items() for a, b in ranges(of)], "NamedRange")
    lower = normalizers.Lowercase()
    pairs = [(p, lower.normalize_str(chr(p))) for p in POINTS if p in known and lower.normalize_str(chr(p)) != chr(p)]
    write("std::span<const LowerCase> later_lower_cases()", [f"{{0x{p:x}, 0x{ord(to):x}}}" for p, to in pairs], "LowerCase")
    print("}  // namespace proctor")


if __name__ == "__main__":
    main()
