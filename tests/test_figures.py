"""The figures: the right trials in them, the same bytes on each redraw, and something however little there is."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sidewinder import SidewinderError, figures
from sidewinder.composition import compose_study
from sidewinder.results import EvaluationResult, Result, as_json
from sidewinder.tables import distributions_json, evaluations_table, trials_table

FIGURES = ["optimization_history", "learning_curves", "parallel_coordinates", "parameter_importance", "contrast"]
BEST, WORST, PRUNED, FAILED = 4, 2, 1, 3


def result(number: int, returns: list[float], state: Any = "complete", noise: bool = True, rate: float = 0.1) -> Result:
    rate_distribution = FloatDistribution(1e-3, 1.0, log=True)
    noise_distribution = CategoricalDistribution(["null", "ornstein-uhlenbeck"])
    params: dict[str, Any] = {"agent.learning_rate": rate}
    distributions: dict[str, Any] = {"agent.learning_rate": rate_distribution}
    if noise:
        params["agent.action_noise"] = "null" if number % 2 else "ornstein-uhlenbeck"
        distributions["agent.action_noise"] = noise_distribution
    return Result(
        number=number,
        config="",
        state=state,
        objective=max(returns) if state == "complete" else None,
        reason="ValueError: found nan in actions" if state == "failed" else None,
        params=params,
        distributions=as_json(distributions),
        evaluations=[
            EvaluationResult(step=100 * (i + 1), mean_return=value, std_return=1.0) for i, value in enumerate(returns)
        ],
        pruner_attrs={},
        seeds={},
        bit_exact=True,
        packages={},
    )


def usual() -> list[Result]:
    curves = [[-9.0, -5.0], [-9.5], [-20.0, -19.0], [], [-8.0, -1.0], [-7.0, -3.0], [-12.0, -6.0]]
    states = {PRUNED: "pruned", FAILED: "failed"}
    return [
        result(number, curve, states.get(number, "complete"), noise=number != 5, rate=0.002 * 2**number)
        for number, curve in enumerate(curves)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., argparse.Namespace]:
    """Writes the tables of some results, and returns a figure's command line for them."""

    def write_tables(results: list[Result], name: str = "figure") -> argparse.Namespace:
        (tmp_path / "config.yaml").write_text(compose_study("made_up", ["study=pendulum_ddpg"]).dump())
        (tmp_path / "trials.csv").write_text(trials_table(results).to_csv(index=False))
        (tmp_path / "evaluations.csv").write_text(evaluations_table(results).to_csv(index=False))
        (tmp_path / "distributions.json").write_text(distributions_json(results))
        outputs = [tmp_path / f"{name}.{suffix}" for suffix in ("pdf", "png", "svg")]
        return argparse.Namespace(config=tmp_path / "config.yaml", tables=tmp_path, output=outputs)

    return write_tables


def draw(name: str, arguments: argparse.Namespace) -> Figure:
    with figures.styled():
        figure: Figure = import_module(name).draw(figures.Tables.read(arguments.config, arguments.tables))
        return figure


@pytest.mark.parametrize("name", FIGURES)
def test_a_redraw_has_the_same_bytes_and_no_date(name: str, write: Callable[..., argparse.Namespace]) -> None:
    contents = []
    for again in ("once", "twice"):
        arguments = write(usual(), again)
        figures.make(import_module(name).draw, arguments)
        contents.append([path.read_bytes() for path in arguments.output])
    assert contents[0] == contents[1]
    for content in contents[0]:
        assert len(content) > 2000
        assert b"Date" not in content
        assert b"matplotlib.org" not in content


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "results",
    [
        [result(0, [-1.0, -2.0])],
        [result(0, [], "failed"), result(1, [-3.0], "pruned")],
        [result(number, [-1.0 * number], rate=0.5, noise=False) for number in range(4)],
    ],
    ids=["one complete trial", "none complete", "nothing varies"],
)
def test_little_to_draw_is_no_error(name: str, results: list[Result], write: Callable[..., argparse.Namespace]) -> None:
    arguments = write(results)
    figures.make(import_module(name).draw, arguments)
    assert all(path.stat().st_size > 1000 for path in arguments.output)


def test_learning_curves_mark_best_and_worst(write: Callable[..., argparse.Namespace]) -> None:
    axes = draw("learning_curves", write(usual())).axes[0]
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
    assert lines[f"best (trial {BEST})"] == [-8.0, -1.0]
    assert lines[f"worst (trial {WORST})"] == [-20.0, -19.0]
    assert axes.get_xlabel() == "environment steps"
    assert axes.get_ylabel() == "mean return of an evaluation"


def test_history_has_best_so_far_and_marks_those_without_objective(write: Callable[..., argparse.Namespace]) -> None:
    lines = {str(line.get_label()): line for line in draw("optimization_history", write(usual())).axes[0].get_lines()}
    assert np.asarray(lines["best so far"].get_ydata()).tolist()[-3:] == [-1.0, -1.0, -1.0]
    assert np.asarray(lines["pruned"].get_xdata()).tolist() == [PRUNED]
    assert np.asarray(lines["failed"].get_xdata()).tolist() == [FAILED]


def test_contrast_lists_what_differs(write: Callable[..., argparse.Namespace]) -> None:
    arguments = write(usual())
    texts = [text.get_text() for text in draw("contrast", arguments).axes[1].texts]
    # Best and worst have even numbers, and so the same noise.
    assert texts == ["", f"best (trial {BEST})", f"worst (trial {WORST})", "learning_rate", "0.032", "0.008"]
    with pytest.raises(SidewinderError, match="--trials: found 99"), figures.styled():
        import_module("contrast").draw(figures.Tables.read(arguments.config, arguments.tables), [0, 99])


def test_importance_names_what_matters(write: Callable[..., argparse.Namespace]) -> None:
    results = [result(n, [-abs(n - 6.0)], rate=0.002 * 2 ** (n / 2)) for n in range(16)]
    labels = [label.get_text() for label in draw("parameter_importance", write(results)).axes[0].get_yticklabels()]
    assert set(labels) == {"learning_rate", "action_noise"}


def test_a_missing_table_is_said_in_one_line(write: Callable[..., argparse.Namespace]) -> None:
    arguments = write(usual())
    (arguments.tables / "trials.csv").unlink()
    with pytest.raises(SystemExit, match=r"^error: .*trials.csv: no such file"):
        figures.make(import_module("contrast").draw, arguments)
    assert not any(path.exists() for path in arguments.output)
