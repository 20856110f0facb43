"""proctor from Python: results of a run (proctor.results), lm-eval's and lmms-eval's tasks on proctor's ranks (proctor.lm_eval, proctor.lmms_eval)."""
