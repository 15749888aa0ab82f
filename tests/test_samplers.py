"""Every sampler and pruner that is shipped: all of Optuna's options, and the same bytes however a study is run."""

import inspect
import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import DISCRETE, PRUNERS, SAMPLERS, run_study, shipped
from hydra.utils import get_class

from sidewinder.composition import compose_study
from sidewinder.config import StudyConfig

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:`restart_strategy` is deprecated:FutureWarning"),
]
MakeConfig = Callable[..., StudyConfig]
# Options that a config cannot hold (functions, arrays, trials), or that the study sets.
NOT_IN_CONFIG = {
    "seed",
    "search_space",
    "gamma",
    "weights",
    "constraints_func",
    "reference_points",
    "source_trials",
    "elite_population_selection_strategy",
    "child_generation_strategy",
    "after_trial_strategy",
}
# Options without a default, and what a file may say of them.
REQUIRED = {"percentile": 25.0, "patience": 1, "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"}}


def composed(directory: Path, settings: dict[str, Any], *overrides: str) -> StudyConfig:
    """A study of DDPG on Pendulum-v1 with these settings, and no search space but its own."""
    head: dict[str, Any] = {"defaults": [{"override /agent/search_spaces@search_space": None}]}
    (directory / "study").mkdir(exist_ok=True)
    (directory / "study/mine.yaml").write_text("# @package _global_\n" + yaml.safe_dump(head | settings))
    return compose_study("mine", overrides, [directory])


@pytest.mark.parametrize("group", ["sampler", "pruner"])
def test_every_option_of_optuna_is_in_its_file(group: str) -> None:
    for name, found in shipped(group).items():
        options = dict(found)
        parameters = inspect.signature(get_class(options.pop("_target_"))).parameters
        expected = {
            key: REQUIRED[key] if parameter.default is parameter.empty else parameter.default
            for key, parameter in parameters.items()
            if key not in NOT_IN_CONFIG
        }
        assert options == expected, name


# Each sampler at least once, each pruner at least once.
@pytest.mark.parametrize(("sampler", "pruner"), list(zip(SAMPLERS, cycle(PRUNERS), strict=False)))
def test_nothing_depends_on_execution(sampler: str, pruner: str, study_config: MakeConfig, tmp_path: Path) -> None:
    config = study_config(
        "study.n_trials=12",
        "study.window=2",
        sampler=SAMPLERS[sampler],
        pruner=PRUNERS[pruner],
        search_space=DISCRETE if sampler in ("grid", "brute_force") else None,
    )
    alone = run_study(tmp_path / "alone", config, cores=1, shuffle=0)
    states = {json.loads(result)["state"] for result in alone.values()}
    assert states == ({"complete"} if pruner == "none" else {"complete", "pruned"})
    assert run_study(tmp_path / "2", config, cores=2, shuffle=1) == alone


def test_each_pruner_is_among_them() -> None:
    assert len(PRUNERS) <= len(SAMPLERS)


@pytest.mark.parametrize(("sampler", "search"), [("grid", "the grid"), ("brute_force", "brute force")])
def test_a_search_of_every_point_ends_with_the_last(
    sampler: str, search: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = {"search_space": DISCRETE}
    config = composed(tmp_path, settings, f"sampler={sampler}", "study.n_trials=50", "study.window=4")
    assert capsys.readouterr().err == f"study mine: {search} ends the study after 18 trials\n"
    results = run_study(tmp_path / "run", config, cores=3, shuffle=1)
    assert len({json.dumps(json.loads(result)["params"]) for result in results.values()}) == len(results) == 18
    composed(tmp_path, settings, f"sampler={sampler}", "study.n_trials=18")
    assert capsys.readouterr().err == ""
