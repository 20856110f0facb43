"""Rows into batches. Neighbours by length go together, so that little or nothing is padded."""

from __future__ import annotations

from collections.abc import Sequence


def batches(
    lengths: Sequence[int], max_tokens: float, slack: float = 0.0, behind: Sequence[int] | None = None, max_positions: float | None = None
) -> list[list[int]]:
    """The rows' indices, longest first.

    A batch holds max_tokens at most, its padding included, or one row. Its shortest row lacks at most the share `slack` of its longest; at 0 all
    are equally long. `behind`: tokens that come behind each row, padded to the most of them; with them a batch has max_positions at most
    (max_tokens where that is not given).
    """
    behind = behind or [0] * len(lengths)
    max_positions = max_tokens if max_positions is None else max_positions
    made: list[list[int]] = []
    most_behind = 0
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], -behind[i])):
        longest = lengths[made[-1][0]] if made else 0
        count, positions = (len(made[-1]) + 1 if made else 1), longest + max(most_behind, behind[row])
        if made and count * longest <= max_tokens and count * positions <= max_positions and lengths[row] >= (1 - slack) * longest:
            made[-1].append(row)
            most_behind = max(most_behind, behind[row])
        else:
            made.append([row])
            most_behind = behind[row]
    return made
