"""For writing a guest: an engine of one's own that computes a module's shards for proctor.

    from proctor.guest import Engine, serve

    class Mine(Engine):
        kinds = ["generator"]
        answers = ["generate_until"]

        def load(self, module, announce): ...
        def run(self, requests, unit): ...
        def close(self): ...

    if __name__ == "__main__":
        serve(Mine)

docs/engine-protocol.md describes what goes over the socket. Needs msgpack, and nothing else beside the standard library.
"""

from proctor.guest.answers import Answer, Trace
from proctor.guest.check import check, probe
from proctor.guest.commands import serve
from proctor.guest.engine import Engine
from proctor.guest.errors import BadFile, BadRequest, EngineBroken, OutOfMemory
from proctor.guest.module import Module
from proctor.guest.requests import Image, Request
from proctor.guest.units import Unit
from proctor.refused import Refused

__all__ = [
    "Answer", "BadFile", "BadRequest", "Engine", "EngineBroken", "Image", "Module", "OutOfMemory", "Refused", "Request", "Trace", "Unit", "check",
    "probe", "serve",
]
