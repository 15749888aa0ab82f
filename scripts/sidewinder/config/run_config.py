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
        """Whether the training is the same, bit by bit, on other machines. The pins mean nothing to processors that are
        no x86-64."""
        pinned = self.training.instruction_set != "native" and platform.machine().lower() in ("x86_64", "amd64")
        return pinned and self.training.device == "cpu" and self.environment.reproducible

    def digest(self, *more: object) -> str:
        """A hash of the whole run, and whatever else matters, 16 hexadecimal digits."""
        return digest((identifying(type(self), self.model_dump()), *more))


@dataclass(frozen=True)
class HeldOut:
    """Episodes that choose nothing, for an agent's honest return: how many, and the seed of their initial states."""

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
            agent.pop("defaults_file", None)  # of a study's baselines
        return RunConfig.model_validate(plain)
    except ValidationError as error:
        raise SidewinderError(one_line(error)) from None
    except OmegaConfBaseException as error:
        raise SidewinderError(f"{error.full_key}: {first_line(error)}") from None
