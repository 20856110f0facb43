"""The command proctor-lm-eval: lm-eval's own command line, with the model `proctor` registered."""
from __future__ import annotations

import sys

from proctor.lm_eval.run import BridgeError


def with_model(arguments: list[str]) -> list[str]:
    """lm-eval's default is hf, which is never what this command was called for."""
    named = any(a == "--model" or a.startswith(("--model=", "-M")) for a in arguments)
    evaluates = len(arguments) > 1 and arguments[0] not in ("ls", "validate")
    return [*arguments, "--model", "proctor"] if evaluates and not named else arguments


def main() -> None:
    """Exit code: proctor's where it failed, so that 75 still means `run me again`."""
    try:
        import proctor.lm_eval.model  # noqa: F401  registers it
        from lm_eval.__main__ import cli_evaluate
    except ModuleNotFoundError as error:
        sys.exit(f"proctor-lm-eval: the Python package {error.name} is missing (lm-eval's tasks run in Python); "
                 f"pip install 'lm-eval>=0.4.10,<0.5' for {sys.executable}")
    sys.argv = ["proctor-lm-eval", *with_model(sys.argv[1:])]
    try:
        cli_evaluate()
    except BridgeError as error:
        print(f"proctor-lm-eval: {error}", file=sys.stderr)
        sys.exit(error.code)


if __name__ == "__main__":
    main()
