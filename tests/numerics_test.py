#!/usr/bin/env python3
"""tools/numerics.py: comments and white space change nothing, everything else does."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from numerics import tokens_only  # noqa: E402

CODE = 'double f(int x) {\n  return x / 2.0;\n}\nconst char* s = "a // b";\n'


class Numerics(unittest.TestCase):
    def test_comments_and_white_space_change_nothing(self):
        for same in (
            "// a note\n" + CODE,
            CODE.replace("  return", "\treturn  /* why */"),
            CODE.replace("\n", "\n\n"),
            CODE.replace("{\n", "{  // opens\n"),
            CODE.replace("x / 2.0", "x/2.0"),
        ):
            self.assertEqual(tokens_only(same), tokens_only(CODE))

    def test_what_computes_changes_it(self):
        for other in (CODE.replace("2.0", "3.0"), CODE.replace("a // b", "a // c"), CODE.replace("int x", "intx"), CODE.replace("/", "*", 1)):
            self.assertNotEqual(tokens_only(other), tokens_only(CODE))

    def test_what_only_looks_like_a_comment_is_kept(self):
        self.assertEqual(tokens_only("auto r = R\"x(// no )\" comment)x\";  // one"), 'auto r=R"x(// no )" comment)x";')
        self.assertEqual(tokens_only("int n = 1'000'000;  // '"), "int n=1'000'000;")
        self.assertEqual(tokens_only("char c = '\"'; // c\nchar d = '\\'';"), "char c='\"';char d='\\'';")

    def test_a_directive_ends_with_its_line(self):
        self.assertNotEqual(tokens_only("#define A 1\nB"), tokens_only("#define A 1 B"))


if __name__ == "__main__":
    unittest.main()
