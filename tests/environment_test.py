#!/usr/bin/env python3
"""tools/environment.yml (conda-forge) and tools/packages.txt (Debian) bring the same things."""
import re
import unittest
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
# Debian's package -> conda-forge's; None: a part of another, or of the system.
SAME = {
    "build-essential": "cxx-compiler", "cmake": "cmake", "ninja-build": "ninja", "pkg-config": "pkg-config", "ccache": "ccache", "git": "git", "python3": "python", "python3-venv": "python",
    "python3-pip": "pip", "libboost-program-options-dev": "libboost-devel", "libyaml-cpp-dev": "yaml-cpp", "nlohmann-json3-dev": "nlohmann_json", "libsqlite3-dev": "sqlite", "libxxhash-dev": "xxhash",
    "libssl-dev": "openssl", "libpcre2-dev": "pcre2", "libutf8proc-dev": "utf8proc", "zlib1g-dev": "zlib", "libzstd-dev": "zstd", "libjpeg-dev": "libjpeg-turbo", "libpng-dev": "libpng", "libwebp-dev": "libwebp-base", "libgif-dev": "giflib", "libopenmpi-dev": "openmpi", "openmpi-bin": "openmpi", "libgtest-dev": "gtest",
    "libbenchmark-dev": "benchmark", "bzip2": "bzip2", "clang-14": "clang", "libclang-rt-14-dev": "compiler-rt", "clang-format-14": "clang-format", "clang-tidy-14": "clang-tools",
}
CHECKS_ONLY = {"clang", "compiler-rt", "clang-format", "clang-tools"}  # sanitizers, format, tidy: run on Debian


class Environment(unittest.TestCase):
    def test_both_lists_name_the_same_things(self):
        debian = (TOOLS / "packages.txt").read_text().split()
        self.assertEqual(sorted(set(debian) - set(SAME)), [], "a Debian package without a partner here")
        conda = set(re.findall(r"^  - ([\w-]+)", (TOOLS / "environment.yml").read_text(), re.MULTILINE))
        self.assertEqual(conda, {SAME[package] for package in debian} - CHECKS_ONLY)


if __name__ == "__main__":
    unittest.main()
