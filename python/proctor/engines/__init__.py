"""Engines that come with proctor; each is a module run as `python -m proctor.engines.NAME` (proctor.guest)."""
