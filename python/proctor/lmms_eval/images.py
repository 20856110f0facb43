"""Pictures that a harness holds in memory, as files that a run can name."""
from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from proctor.lm_eval.run import BridgeError


def png(width: int, height: int, pixels: bytes) -> bytes:
    """An RGB picture of 8 bits as a PNG file: nothing is lost, and nothing but pixels is kept (no profile, no orientation)."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + pixels[at:at + 3 * width] for at in range(0, len(pixels), 3 * width))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def is_picture(visual: Any) -> bool:
    """Whether it has what this module uses of PIL's images."""
    return all(hasattr(visual, name) for name in ("convert", "size", "tobytes"))


def opened(path: str) -> Any:
    """As transformers' processors open a path: upright, as EXIF says."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except OSError as error:
        raise BridgeError(f"image {path}: {error}") from error


class ImageFolder:
    """Each picture is written once, under the hash of its pixels: a task that asks many questions about one keeps one file."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, visual: Any) -> str:
        """The picture's name in the folder. RGB as PIL's convert makes it, which every processor does first."""
        if not isinstance(visual, str) and not is_picture(visual):
            raise BridgeError(f"{type(visual).__name__}: is no picture")
        picture = (opened(visual) if isinstance(visual, str) else visual).convert("RGB")
        (width, height), pixels = picture.size, picture.tobytes()
        name = hashlib.sha256(b"%dx%d" % (width, height) + pixels).hexdigest() + ".png"
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{name}.{os.getpid()}.partial")
            partial.write_bytes(png(width, height, pixels))
            partial.replace(path)
        return name
