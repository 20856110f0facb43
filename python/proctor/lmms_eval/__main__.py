"""The command proctor-lmms-eval: lmms-eval's own command line, with the model `proctor` registered."""
from __future__ import annotations

import os
import sys
import traceback
from typing import Any

from proctor.lm_eval.run import BridgeError
from proctor.lmms_eval import manifest

SUBCOMMANDS = ("tasks", "models", "ui", "serve", "power", "version", "tui", "mcp")


def named(option: str, arguments: list[str]) -> bool:
    return any(one == option or one.startswith(option + "=") for one in arguments)


def with_folder(arguments: list[str]) -> list[str]:
    """--model-path DIR is short for pretrained=DIR among --model_args."""
    rest, folder = list(arguments), ""
    for at, one in enumerate(arguments):
        if one.startswith("--model-path="):
            rest, folder = [*arguments[:at], *arguments[at + 1:]], one.partition("=")[2]
        elif one == "--model-path" and at + 1 < len(arguments):
            rest, folder = [*arguments[:at], *arguments[at + 2:]], arguments[at + 1]
    if not folder:
        return rest
    for at, one in enumerate(rest):
        if one.startswith("--model_args="):
            return [*rest[:at], f"--model_args=pretrained={folder},{one.partition('=')[2]}", *rest[at + 1:]]
        if one == "--model_args" and at + 1 < len(rest):
            return [*rest[:at + 1], f"pretrained={folder},{rest[at + 1]}", *rest[at + 2:]]
    return [*rest, "--model_args", f"pretrained={folder}"]


def with_model(arguments: list[str]) -> list[str]:
    """lmms-eval's default is hf, which is never what this command was called for."""
    evaluates = bool(arguments) and arguments[0] not in (*SUBCOMMANDS, "--help", "-h") and arguments != ["eval"]
    if not evaluates:
        return arguments
    arguments = with_folder(arguments)
    return arguments if named("--model", arguments) or named("--config", arguments) else [*arguments, "--model", "proctor"]


def ending_in_errors(evaluate: Any) -> Any:
    """lmms-eval prints an evaluation's error and ends with exit code 0; here the code is proctor's, so that 75 still means `run me again`."""
    def call(*args: Any) -> Any:
        try:
            return evaluate(*args)
        except BridgeError as error:
            print(f"proctor-lmms-eval: {error}", file=sys.stderr)
            sys.exit(error.code)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
    return call


def main() -> None:
    os.environ.setdefault("ACCELERATE_USE_CPU", "true")  # nothing is computed in this process: devices are for proctor's workers
    try:
        import lmms_eval.__main__ as command
        from lmms_eval.cli.dispatch import main as dispatch
        from lmms_eval.models import MODEL_REGISTRY_V2
    except ModuleNotFoundError as error:
        sys.exit(f"proctor-lmms-eval: the Python package {error.name} is missing (lmms-eval's tasks run in Python); "
                 f"pip install 'lmms-eval>=0.7.3,<0.8' for {sys.executable}")
    MODEL_REGISTRY_V2.register_manifest(manifest(), overwrite=True)
    command.cli_evaluate_single = ending_in_errors(command.cli_evaluate_single)
    sys.argv = ["proctor-lmms-eval", *with_model(sys.argv[1:])]
    dispatch()


if __name__ == "__main__":
    main()
