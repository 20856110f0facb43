import argparse
import json
import traceback

from lmms_eval import evaluator


def cli_evaluate():
    parser = argparse.ArgumentParser()
    for option in ("--model", "--model_args", "--tasks"):
        parser.add_argument(option)
    try:
        cli_evaluate_single(parser.parse_args())
    except Exception:  # as lmms-eval: printed, and no exit code
        traceback.print_exc()


def cli_evaluate_single(args):
    print(json.dumps(evaluator.simple_evaluate(args.model, args.model_args, args.tasks)))
