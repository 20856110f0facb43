"""What the sidecar's services refuse."""


class Refused(Exception):
    """What the request is to blame for."""


def told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
