"""One training run: environments, agent, evaluations. Knows no study."""
