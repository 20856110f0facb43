"""What the tests of python/proctor/autorag share."""
import importlib.util
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
NEEDED = ("pandas", "pyarrow", "yaml", "emoji", "sacrebleu", "rouge_score")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


def setUpModule():
    if MISSING:
        raise unittest.SkipTest(f"{', '.join(MISSING)}: not in this Python, so that they cannot be started here")
