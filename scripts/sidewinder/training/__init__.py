"""One training run: environments, agent, evaluations. `run.train` does not depend on a study."""
