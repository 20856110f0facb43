"""proctor from Python: results of a run (proctor.results), lm-eval's tasks on proctor's ranks (proctor.lm_eval)."""
