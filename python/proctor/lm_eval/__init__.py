"""lm-eval's tasks on proctor's ranks (docs/lm-eval.md)."""
