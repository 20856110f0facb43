#!/usr/bin/env python3
"""A hash of C++ sources that does not change with their comments, white space or place on disk.

    numerics.py [--root FOLDER] [--out HEADER] FILE...

Prints 16 hexadecimal digits, or writes a header that defines PROCTOR_NUMERICS (only if it differs).
"""
import argparse
import hashlib
import re
from pathlib import Path

# In this order: what can hold a comment's beginning without being one comes before comments.
TOKEN = re.compile(
    r'(?P<raw>R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)")'
    r'|(?P<text>"(?:\\.|[^"\\\n])*")'
    r"|(?P<char>(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+')"
    r"|(?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)"
    r"|(?P<blank>\s+)",
    re.DOTALL,
)
WORD = re.compile(r"[A-Za-z0-9_]")


def tokens_only(source):
    """The source without comments. White space is one blank where two words would else touch, a line's end behind a
    preprocessor directive, and nothing elsewhere."""
    out, end, gap, line_begins, directive = [], 0, False, True, False

    def add(piece):
        nonlocal gap, line_begins, directive
        if not piece:
            return
        if gap and out and WORD.match(out[-1][-1]) and WORD.match(piece[0]):
            out.append(" ")
        directive = directive or (line_begins and piece.startswith("#"))
        out.append(piece)
        gap = line_begins = False

    for match in TOKEN.finditer(source):
        add(source[end : match.start()])
        end = match.end()
        if match["blank"] and "\n" in match[0]:
            if directive:
                out.append("\n")
            line_begins, directive = True, False
        if match["comment"] or match["blank"]:
            gap = True
        else:
            add(match[0])
    add(source[end:])
    return "".join(out)


def numerics(files, root):
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root)}\0{tokens_only(path.read_text())}\0".encode())
    return digest.hexdigest()[:16]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    value = numerics([path.resolve() for path in options.files], options.root.resolve())
    if not options.out:
        print(value)
        return
    text = f'#define PROCTOR_NUMERICS "{value}"\n'
    if not options.out.exists() or options.out.read_text() != text:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()
