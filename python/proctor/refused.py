"""What the sidecar's services refuse."""


class Refused(Exception):
    """What the request is to blame for."""


def told(error: BaseException) -> str:
    line = getattr(error, "lineno", None)
    return f"{type(error).__name__}: {error}" + (f" (line {line} of the template)" if line else "")
