"""As much of lmms-eval 0.7.3 as proctor.lmms_eval touches, for where it is not installed."""
