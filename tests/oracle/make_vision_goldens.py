#!/usr/bin/env python3
"""tests/data/goldens/vision out of a folder golden-vlm: small image files of many formats and what Pillow makes of them, and for nine families of
image-text models their processors' files, the expanded prompts and hashes of the pixel values. What made the folder is told in its README (transformers
4.57.1, torch 2.11.0, torchvision 0.26.0, Pillow 12.3.0). Needs tokenizers.

    make_vision_goldens.py golden-vlm
"""
import json
import shutil
import sys
from pathlib import Path

from tokenizers import Tokenizer

OUT = Path(__file__).parent.parent / "data/goldens/vision"
FILES = ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json")


def expanded_text(tokenizer, case):
    text = tokenizer.decode(case["input_ids"], skip_special_tokens=False)
    assert tokenizer.encode(text, add_special_tokens=False).ids == case["input_ids"], text
    return text


def cases_of(source, family):
    tokenizer = Tokenizer.from_file(str(source / family / "tokenizer.json"))
    for case in json.loads((source / f"{family}.json").read_text())["cases"]:
        if not case["images"] or "pixel_values" not in case or (case["nested"] and len(case["images"]) > 1):
            continue  # texts, variants of a model, several images as one image's frames
        yield {"prompt": case["prompt"], "images": case["images"], "fast": case["image_processor"].endswith("Fast"), "is_auto": case["is_auto"], "text": expanded_text(tokenizer, case),
               "shape": case["pixel_values"]["shape"], "sha256": case["pixel_values"]["sha256"], "grids": case.get("image_grid_thw", [])}


def main(source):
    families = {path.name: list(cases_of(source, path.name)) for path in sorted(source.iterdir()) if (path / "config.json").exists()}
    for family in families:
        (OUT / family).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (source / family / name).exists():
                shutil.copyfile(source / family / name, OUT / family / name)
    for folder in ("formats", "images"):
        (OUT / folder).mkdir(exist_ok=True)
        for path in (source / folder).iterdir():
            shutil.copyfile(path, OUT / folder / path.name)
    formats = json.loads((source / "formats.json").read_text())["files"]
    keep = ("size", "orientation", "rgb_sha256", "upright_rgb_sha256", "error")
    write("formats.json", {name: {key: row[key] for key in keep if key in row} for name, row in formats.items()})
    write("resize.json", [{k: v for k, v in row.items() if k not in ("largest_difference", "share_differing")} for row in json.loads((source / "resize.json").read_text())["resizes"]])
    write("families.json", families)


def write(name, value):
    rows = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    lines = [(f"{json.dumps(key)}: " if key is not None else "") + json.dumps(one) for key, one in rows]
    brackets = "{}" if isinstance(value, dict) else "[]"
    (OUT / name).write_text(brackets[0] + "\n" + ",\n".join(lines) + "\n" + brackets[1] + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
