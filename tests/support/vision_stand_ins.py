#!/usr/bin/env python3
"""Stand-ins for the data sets of configs/tasks/vision: a few invented rows in each one's layout on the hub, with drawn shapes as pictures,
where `huggingface-cli download` would leave them.

    vision_stand_ins.py HF_HOME

Columns and types are those of the data sets' cards. Needs pyarrow; pictures are written by zlib.
"""
import json
import struct
import sys
import zlib
from pathlib import Path

COLOURS = {"red": (220, 40, 40), "green": (30, 160, 60), "blue": (40, 70, 210), "yellow": (240, 210, 40)}
SHAPES = ("square", "circle", "triangle")


def png(width, height, colour, shape):
    """A shape on white, in 8-bit RGB."""
    def inside(x, y):
        u, v = 2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1
        return {"square": max(abs(u), abs(v)) < 0.6, "circle": u * u + v * v < 0.5, "triangle": -0.7 < v < 0.7 and abs(u) < (v + 0.7) / 2}[shape]

    lines = b"".join(b"\0" + b"".join(bytes(COLOURS[colour] if inside(x, y) else (255, 255, 255)) for x in range(width)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def scene(i):
    """(colour, shape, picture) of the i-th drawing; as `datasets` writes an image column."""
    colour, shape = list(COLOURS)[i % 4], SHAPES[i % 3]
    return colour, shape, {"bytes": png(40 + 8 * (i % 3), 48, colour, shape), "path": f"{i}.png"}


def letters(i, options):
    return "ABCD"[i % len(options)]


def mmmu(_):
    rows = []
    for i in range(8):
        colour, shape, image = scene(i)
        row = {"id": f"validation_{['Art', 'Math'][i % 2]}_{i}", "explanation": "", "img_type": "['Drawings']", "topic_difficulty": "Easy", "subfield": "Shapes",
               **{f"image_{n}": None for n in range(1, 8)}, "image_1": image}
        if i % 4 == 3:
            row |= {"question": f"How many corners has the {colour} shape in <image 1>?", "options": "[]", "question_type": "open", "answer": "['4', 'four']" if i == 3 else "3"}
        else:
            options = ["it's a square", 'a "circle"', "<image 2>"][:2 + i % 2]
            row |= {"question": f"<image 1> What is the {colour} shape?", "options": repr(options), "question_type": "multiple-choice", "answer": letters(i, options),
                    "image_2": scene(i + 1)[2] if len(options) == 3 else None}
        rows.append(row)
    return rows


def mmbench(_):
    rows = []
    for i in range(4):
        colour, shape, image = scene(i)
        for turn in range(2 + i % 2):
            options = ["red", "green", "blue", "yellow"][:2 + i]
            options = options[turn:] + options[:turn]
            rows.append({"index": 241 + i + turn * 10**6, "question": f"Which colour has the {shape}?", "hint": "nan" if i % 2 else "One shape is drawn.", "answer": letters(i + turn, options),
                         **{"ABCD"[n]: options[n] if n < len(options) else "nan" for n in range(4)}, "category": "attribute_recognition", "image": image, "source": "drawn",
                         "L2-category": "perception", "comment": "nan", "split": "dev"})
    return rows


def mme(_):
    rows = []
    for i in range(6):
        colour, shape, image = scene(i)
        category = ["color", "existence", "code_reasoning"][i % 3]
        for word, answer in ((colour, "Yes"), ("purple", "No")):
            rows.append({"question_id": f"{category}/{i}.png", "image": image, "question": f"Is the {shape} {word}? Please answer yes or no.", "answer": answer, "category": category})
    return rows


def pope(_):
    rows = []
    for i in range(3):
        _, shape, image = scene(i)
        for n, asked in enumerate((*SHAPES, "star")):
            rows.append({"id": str(4 * i + n), "question_id": str(4 * i + n), "question": f" Is there a {asked} in the image?", "answer": "yes" if asked == shape else "no",
                         "image_source": f"drawn_{i}", "image": image, "category": ["adversarial", "popular", "random"][i]})
    return rows


def ai2d(_):
    return [{"question": f"Which shape is {colour}?", "options": [*SHAPES, "none"], "answer": str(SHAPES.index(shape)), "image": image} for colour, shape, image in map(scene, range(8))]


def chartqa(_):
    return [{"type": ["human_test", "augmented_test"][i % 2], "question": f"How large is the {colour} {shape}?", "answer": ["12.5", "50%", "Yes", "0"][i % 4], "image": image}
            for i, (colour, shape, image) in enumerate(map(scene, range(8)))]


def docvqa(config):
    rows = []
    for i, (colour, shape, image) in enumerate(map(scene, range(8))):
        row = {"questionId": str(i), "question": f"What is written beside the {colour} {shape}?", "image": image, "answers": [f"No. {i}", f"number  {i}"], "data_split": "val"}
        if config == "DocVQA":
            row |= {"question_types": ["form"], "docId": i, "ucsf_document_id": f"drawn{i}", "ucsf_document_page_no": "1"}
        else:
            row |= {"answer_type": ["single span"], "image_url": "", "operation/reasoning": ["counting"], "ocr": "[]"}
        rows.append(row)
    return rows


def textvqa(_):
    return [{"image_id": f"drawn{i}", "question_id": i, "question": f"what IS the {shape}'s colour?", "question_tokens": ["what", "is"], "image": image, "image_width": 48, "image_height": 48,
             "flickr_original_url": "", "flickr_300k_url": "", "answers": [colour] * 6 + [f"a {colour}"] * 2 + ["unanswerable"] * 2, "image_classes": ["Shape"], "set_name": "val", "ocr_tokens": ["NO"]}
            for i, (colour, shape, image) in enumerate(map(scene, range(8)))]


def scienceqa(_):
    return [{"image": image, "question": f"Which of these is the {colour} shape?", "choices": list(SHAPES[:2 + i % 2]), "answer": i % 2, "hint": "Corners count." if i % 2 else "", "task": "closed choice",
             "grade": "grade2", "subject": "natural science", "topic": "shapes", "category": "drawn", "skill": "", "lecture": "", "solution": ""} for i, (colour, _, image) in enumerate(map(scene, range(8)))]


def mmstar(_):
    return [{"index": i, "question": f"Which shape is {colour}?\nOptions: A: square, B: circle, C: triangle, D: star ", "image": image, "answer": "ABC"[SHAPES.index(shape)],
             "category": ["coarse perception", "math"][i % 2], "l2_category": ["image emotion", "geometry", "recognition"][i % 3], "meta_info": {"source": "drawn", "split": "val", "image_path": f"{i}.png"}}
            for i, (colour, shape, image) in enumerate(map(scene, range(9)))]


def realworldqa(_):
    ask = "\nPlease answer directly with only the letter of the correct option and nothing else."
    return [{"image": image, "question": f"What is {colour} here?\n\nA. The square\nB. The circle\nC. The triangle{ask}" if i % 2 else f"How many {colour} shapes are there?\nPlease answer directly with a single word or number.",
             "answer": "ABC"[SHAPES.index(shape)] if i % 2 else "1", "image_path": f"{i}.webp"} for i, (colour, shape, image) in enumerate(map(scene, range(8)))]


def ocrbench(_):
    kinds = [("IIIT5K", "Regular Text Recognition", ["RED"]), ("HME100k", "Handwritten Mathematical Expression Recognition", ["x ^ 2 = 4"]), ("FUNSD", "Key Information Extraction", ["No. 7", "7"])]
    return [{"dataset": kinds[i % 3][0], "question": "what is written in the image?", "question_type": kinds[i % 3][1], "answer": kinds[i % 3][2], "image": scene(i)[2]} for i in range(9)]


# Of each file: data set, configuration, split, the file's place, its rows.
FILES = [("lmms-lab/MMMU", "", "validation", "data/validation-00000-of-00001.parquet", mmmu), ("lmms-lab/MMBench", "en", "dev", "en/dev-00000-of-00001.parquet", mmbench),
         ("lmms-lab/MME", "", "test", "data/test-00000-of-00001.parquet", mme), ("lmms-lab/POPE", "", "test", "data/test-00000-of-00001.parquet", pope),
         ("lmms-lab/ai2d", "", "test", "data/test-00000-of-00001.parquet", ai2d), ("lmms-lab/ChartQA", "", "test", "data/test-00000-of-00001.parquet", chartqa),
         ("lmms-lab/DocVQA", "DocVQA", "validation", "DocVQA/validation-00000-of-00001.parquet", docvqa),
         ("lmms-lab/DocVQA", "InfographicVQA", "validation", "InfographicVQA/validation-00000-of-00001.parquet", docvqa),
         ("lmms-lab/textvqa", "", "validation", "data/validation-00000-of-00001.parquet", textvqa), ("lmms-lab/ScienceQA", "ScienceQA-IMG", "test", "ScienceQA-IMG/test-00000-of-00001.parquet", scienceqa),
         ("Lin-Chen/MMStar", "val", "val", "mmstar.parquet", mmstar), ("lmms-lab/RealWorldQA", "", "test", "data/test-00000-of-00001.parquet", realworldqa),
         ("echo840/OCRBench", "", "test", "data/test-00000-of-00001.parquet", ocrbench)]


def schema_of(rows):
    """Images as structures of bytes and path, though they are missing in every row; ScienceQA's answer is of 8 bits."""
    import pyarrow
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    found = pyarrow.Table.from_pylist(rows).schema
    kind = lambda field: image if field.name == "image" or field.name.startswith("image_") and field.name[6:].isdigit() else pyarrow.int8() if field.name == "answer" and pyarrow.types.is_integer(field.type) else field.type
    return pyarrow.schema([(field.name, kind(field)) for field in found])


def write(home):
    import pyarrow
    import pyarrow.parquet
    configs = {}
    for name, config, split, path, make in FILES:
        folder = Path(home) / "hub" / f"datasets--{name.replace('/', '--')}"
        snapshot = folder / "snapshots/0123abcd"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs/main").write_text("0123abcd")
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        rows = make(config)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema_of(rows)), snapshot / path)
        configs.setdefault(snapshot, []).append({"config_name": config or "default", "data_files": [{"split": split, "path": path}]})
    for snapshot, listed in configs.items():
        (snapshot / "README.md").write_text(f"---\nconfigs: {json.dumps(listed)}\n---\n# Rows of a test\n")


if __name__ == "__main__":
    write(sys.argv[1])
