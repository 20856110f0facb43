"""Pictures of any size in all formats that are read, and requests that show them, by a seed. Needs Pillow and numpy."""
import random

import numpy
from PIL import Image

LETTERS = [chr(c) for c in range(33, 127) if chr(c) not in "<>{}\"\\"] + [" "] * 9 + ["\n", "é", "中"]
LONGEST_RATIO = 200  # which Qwen's processors refuse to go beyond
ORIENTATION = 0x0112
CHOICES = ["jpg", "jpg", "jpg", "png", "png", "webp", "bmp", "gif"]


def pixels(numbers, height, width):
    """Smooth colours with grain."""
    coarse = numbers.integers(0, 256, (height // 19 + 2, width // 19 + 2, 3), dtype=numpy.uint8)
    smooth = numpy.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=numpy.int64)
    return numpy.clip(smooth + numbers.integers(-24, 25, smooth.shape), 0, 255).astype(numpy.uint8)


def write_picture(path, rng, height, width):
    """Returns the path with the format's ending."""
    picture = Image.fromarray(pixels(numpy.random.default_rng(rng.getrandbits(32)), height, width))
    ending = rng.choice(CHOICES)
    mode = rng.choice({"jpg": ["RGB", "RGB", "RGB", "L", "CMYK"], "png": ["RGB", "RGBA", "L", "LA", "P", "1"], "webp": ["RGB", "RGBA"], "bmp": ["RGB", "L"], "gif": ["P"]}[ending])
    if mode in ("RGBA", "LA"):
        picture.putalpha(Image.fromarray(pixels(numpy.random.default_rng(1), height, width)[:, :, 0]))
    exif = Image.Exif()
    exif[ORIENTATION] = rng.choice([1, 1, 3, 6, 8, 2])
    settings = {"jpg": {"quality": rng.randint(50, 96), "subsampling": rng.choice([0, 1, 2]), "progressive": rng.random() < 0.3, "exif": exif}, "png": {"exif": exif},
                "webp": {"lossless": rng.random() < 0.5, "quality": rng.randint(50, 96)}}
    path = path.with_suffix(f".{ending}")
    picture.convert(mode).save(path, **settings.get(ending, {}))
    return path


def sizes(rng, borders, tallest):
    """(odd ones, common ones), as (height, width). `borders`: sides about which an image is cut in another way."""
    long = rng.choice([400, 201, 300])
    odd = [(1, 1), (1, long), (long, 1), (2, 2 * LONGEST_RATIO), (2 * LONGEST_RATIO + 1, 2), (3, rng.randint(200, 600)), (rng.randint(200, 600), 3)]
    side = lambda: rng.choice(borders)  # noqa: E731
    near = [(side(), side()), (side(), rng.randint(5, 200)), (rng.randint(5, 200), side()), (side(), side())]
    tiny = [(rng.randint(1, 12), rng.randint(1, 12))]
    large = [(rng.randint(150, 600), rng.randint(150, 600)), (rng.randint(20, 90), rng.randint(200, 600)), (rng.randint(200, 600), rng.randint(20, 90)), (rng.randint(30, 300),) * 2]
    allowed = lambda some: [(height, width) for height, width in some if max(height, width) / min(height, width) <= tallest]  # noqa: E731; EXIF may turn it
    odd = allowed(odd)
    return rng.sample(odd, min(4, len(odd))), allowed(near + tiny + rng.sample(large, 3))


def write_requests(folder, seed, drawn, generated):
    """Pictures into `folder`, and [(rows of scored continuations, rows of greedy texts)]: of each odd picture alone, of one picture asked
    many things, of several in any order, and of none. `drawn`: of vision_families.py; `generated`: tokens."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    text = lambda low, high: "".join(rng.choice(LETTERS) for _ in range(rng.randint(low, high) - 1)) + rng.choice("abcdefgh")  # noqa: E731; lm-eval moves a last blank
    odd, common = ([write_picture(folder / f"{kind}{i}", rng, *size).name for i, size in enumerate(them)] for kind, them in zip(("odd", "picture"), sizes(rng, drawn.borders, drawn.tallest)))
    scored, written = [], []

    def score(context, images, times=1):
        scored.extend({"type": "loglikelihood", "context": context, "continuation": rng.choice(["", " "]) + text(1, 9), **({"images": images} if images else {})} for _ in range(times))

    def write(context, images):
        written.append({"type": "generate_until", "context": context, "max_gen_toks": generated, "ignore_eos": True, "logprobs": True, **({"images": images} if images else {})})

    def between(images):
        return "".join(rng.choice(["", text(1, 20)]) + "<image>" for _ in images) + text(1, 30)

    for name in odd:
        score(rng.choice(["", "<image>"]) + text(2, 20), [name])
    shown, other = rng.sample(common, 2)
    for _ in range(3):
        score("<image>" + text(3, 25), [shown], rng.randint(1, 2))
    write("<image>" + text(3, 25), [shown])
    beginning = "<image>" + text(1, 9) + "<image>"
    for _ in range(2):
        score(beginning + text(3, 25), [shown, other])
    write(beginning + text(3, 25), [shown, other])
    for name in common:
        rng.choice([score, write])(between([name]), [name])
    for count in (2, 3, 4):
        images = rng.choices(common, k=count)  # one may be there twice
        score(rng.choice([between(images), text(3, 25)]), images)
        write(between(images), images)
    score(text(5, 40), [], 2)
    write(text(5, 40), [])
    return scored, written
