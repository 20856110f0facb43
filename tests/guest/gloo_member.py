"""A rank of the toy's gang: joins in a sum over all ranks for each word of rank 0, by gloo, until that says so or is gone.

    gloo_member.py RANK SIZE FILE
"""
import datetime
import sys

import torch
import torch.distributed as dist


def join(rank: int, size: int, file: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=size, timeout=datetime.timedelta(seconds=30))


def add_up(word: int) -> int:
    """Rank 0: what all ranks make of it. Throws RuntimeError where one is gone."""
    value = torch.tensor([word], dtype=torch.int64)
    dist.broadcast(value, 0)
    dist.all_reduce(value)
    return int(value.item())


END = -1


def main() -> None:
    join(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    value = torch.zeros(1, dtype=torch.int64)
    while True:
        dist.broadcast(value, 0)
        if value.item() == END:
            break
        dist.all_reduce(value)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
