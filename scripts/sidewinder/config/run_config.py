"""The config of one training run, typed: agent, environment, training, evaluation. It never trains."""

import platform
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from sidewinder import SidewinderError
from sidewinder.config import resolvers
from sidewinder.config.digests import digest
from sidewinder.config.identity import identifying
from sidewinder.config.run_sections import Environment, Evaluation, Section, Training
from sidewinder.errors import first_line, one_line

resolvers.register()


class RunConfig(Section):
    """One training run. `agent` is checked against the algorithm's signature by `sidewinder.training.agents`."""

    agent: dict[str, Any]
    environment: Environment
    training: Training
    evaluation: Evaluation

    @property
    def bit_exact(self) -> bool:
        """Whether the training gives the same bits on other machines. On processors other than x86-64 it never does,
        because pinned instruction sets have no effect there."""
        pinned = self.training.instruction_set != "native" and platform.machine().lower() in ("x86_64", "amd64")
        return pinned and self.training.device == "cpu" and self.environment.reproducible

    def digest(self, *more: object) -> str:
        """Hash of the run's identity and of the further arguments, 16 hexadecimal digits."""
        return digest((identifying(type(self), self.model_dump()), *more))


@dataclass(frozen=True)
class HeldOut:
    """Held-out episodes of an agent: how many, and the seed of their initial states. They choose nothing."""

    n_episodes: int
    seed: int


def run_config(config: DictConfig) -> RunConfig:
    """Resolve and check the sections of one training run; other sections are ignored.

    Raises:
        SidewinderError: A key is missing, unknown or out of range.
    """
    try:
        sections = {section: config[section] for section in RunConfig.model_fields}
        plain = OmegaConf.to_container(OmegaConf.create(sections), resolve=True)
        if isinstance(plain, dict) and isinstance(agent := plain["agent"], dict):
            agent.pop("defaults_file", None)  # only a study's baselines read it
        return RunConfig.model_validate(plain)
    except ValidationError as error:
        raise SidewinderError(one_line(error)) from None
    except OmegaConfBaseException as error:
        raise SidewinderError(f"{error.full_key}: {first_line(error)}") from None
