class lmms:
    is_simple = True

    def __init__(self):
        self.task_dict = {}

    @classmethod
    def create_from_arg_string(cls, arg_string, additional_config=None):
        more = {key: value for key, value in (additional_config or {}).items() if value is not None}
        return cls(**dict(pair.split("=", 1) for pair in arg_string.split(",")), **more)
