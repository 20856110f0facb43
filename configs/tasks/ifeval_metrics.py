"""IFEval's accuracy by prompt (Zhou et al. 2023, arXiv:2311.07911): every instruction of the row is followed, as lm-eval's own checks say.

Only with --allow-code, by a Python (PROCTOR_PYTHON) that has lm-eval with its extra: pip install 'lm-eval[ifeval]', and nltk's punkt_tab.
The other two of the paper, by instruction, are not means over rows and are not here.
"""

from lm_eval.tasks.ifeval import utils


def prompt_level_strict_acc(prediction, references, doc):
    return bool(utils.process_results(doc, [prediction])["prompt_level_strict_acc"])


def prompt_level_loose_acc(prediction, references, doc):
    return bool(utils.process_results(doc, [prediction])["prompt_level_loose_acc"])
