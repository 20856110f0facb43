"""What torch itself counts of memory: its allocator's bytes on a GPU, tensors that are alive elsewhere. Engines claim it."""

from __future__ import annotations

import gc

from proctor.guest import Engine


def claim_memory(engine: Engine, when: str, device: str) -> None:
    """`when`: before or after."""
    import torch

    if device == "cpu":
        return engine.claim(f"tensor_bytes_{when}", tensor_bytes())
    engine.claim(f"allocated_{when}", torch.cuda.memory_allocated())
    engine.claim(f"reserved_{when}", torch.cuda.memory_reserved())
    if when == "before":
        torch.cuda.reset_peak_memory_stats()
    else:
        engine.claim("allocated_peak", torch.cuda.max_memory_allocated())
        engine.claim("reserved_peak", torch.cuda.max_memory_reserved())


def release_memory(engine: Engine, device: str) -> None:
    """Behind the last reference to the model."""
    import torch

    if device != "cpu":
        with engine.step("empty the cache"):
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
    claim_memory(engine, "after", device)


def freeze_imports() -> None:
    """What packages made of themselves stays for good; a teardown's collections need not look at it."""
    if gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()


def tensor_bytes() -> int:
    """Of the storages that Python's tensors hold."""
    import torch

    gc.collect()
    storages = {}
    for one in gc.get_objects():
        if issubclass(type(one), torch.Tensor) and one.device.type not in ("meta", "fake"):
            storage = one.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())
