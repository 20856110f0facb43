#!/usr/bin/env python3
"""How many tests did not run, by reason: of gtest's skips and of unittest's within a process test.

    not_run.py CTEST_JUNIT_FILE
"""
import re
import sys
import xml.etree.ElementTree
from collections import Counter


def reasons(case):
    """(reason, count) of one ctest test."""
    text = "".join(part.text or "" for part in case.iter("system-out"))
    if case.get("status") == "run":
        found = Counter(re.findall(r"\.\.\. skipped ['\"](.*)['\"]", text))
    else:
        said = re.search(r"Skipped\n(.+)", text) or re.search(r"(no GPU: not run|no /\S+|cannot be started here.*)", text)
        found = Counter([said.group(1).strip() if said else case.get("status", "?")])
    return found


def main():
    counts = Counter()
    for case in xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        if case.get("status") != "fail":
            counts.update({re.sub(r'no "?/\S*/shared/data\S*', "no ../shared/data beside the checkout", reason): count for reason, count in reasons(case).items()})
    print(f"\nnot run: {sum(counts.values())} tests")
    for reason, count in counts.most_common():
        print(f"  {count:4}  {reason}")
    print()


main()
