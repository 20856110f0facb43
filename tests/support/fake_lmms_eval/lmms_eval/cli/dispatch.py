def main():
    from lmms_eval.__main__ import cli_evaluate

    cli_evaluate()
