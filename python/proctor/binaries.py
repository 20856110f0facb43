"""Where proctor's binaries are, and the commands `proctor` and `proctor-worker` of an installed package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = PACKAGE / "bin"  # in a wheel
CHECKOUT = PACKAGE.parents[1]  # in a source tree: what CMake built


def find(name: str, folders: tuple[Path, ...] = (INSTALLED, CHECKOUT / "build/bin")) -> Path | None:
    """The package's own binary, else the checkout's, else one on the PATH that is no command of this package."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    return Path(found).resolve() if found and not _is_script(Path(found)) else None


def _is_script(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def environment(given: Mapping[str, str], torch: Path | None, binaries: Path) -> dict[str, str]:
    """LibTorch is looked for beside the package; where it lies elsewhere, the loader is told."""
    out = dict(given)
    if torch and torch.parent != binaries.parents[1]:
        paths = [torch / "lib", *(torch.parent / "nvidia" / part / "lib" for part in ("cu13", "nccl"))]
        out["LD_LIBRARY_PATH"] = os.pathsep.join([*map(str, paths), *filter(None, [given.get("LD_LIBRARY_PATH")])])
    return out


def torch_folder() -> Path | None:
    spec = importlib.util.find_spec("torch")  # found, not imported
    return Path(spec.origin).parent if spec and spec.origin else None


def _become(name: str) -> None:
    binary = find(name)
    if binary is None:
        sys.exit(f"{name}: this installation has no binary for this platform ({INSTALLED / name} is missing); install it with "
                 "`pip install .` in a checkout, or build it with tools/setup and cmake")
    variables = environment(os.environ, torch_folder(), binary.parent)
    variables.setdefault("PROCTOR_PYTHON", sys.executable)  # whose environment has what proctor.sidecar needs
    os.execve(binary, [str(binary), *sys.argv[1:]], variables)


def proctor() -> None:
    _become("proctor")


def proctor_worker() -> None:
    _become("proctor-worker")
