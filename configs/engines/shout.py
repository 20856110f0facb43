"""An engine of one's own, whole: it answers every prompt with the last word of it, in capitals. See docs/engines.md."""

from proctor.guest import Engine, serve


class Shout(Engine):
    answers = ["generate_until"]
    promises = ["pure"]

    def load(self, module, announce):
        announce("nothing to load")

    def run(self, requests, unit):
        return [self.text(" " + request.text.split()[-1].upper(), 1) for request in requests]

    def close(self):
        pass


if __name__ == "__main__":
    serve(Shout)
