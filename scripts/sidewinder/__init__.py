"""Reproducible hyperparameter tuning of Stable-Baselines3 agents: the package that the workflow's scripts share."""

from sidewinder.errors import SidewinderError, errors_in_one_line

__version__ = "0.3.0"
__all__ = ["SidewinderError", "errors_in_one_line"]
