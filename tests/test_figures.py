"""The figures show the right trials, have the same bytes when drawn again, and can be drawn from little data."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.matrix import expanded
from sidewinder.report.figures import (
    COMPARISON_FIGURES,
    SWEEP_FIGURES,
    best_so_far,
    parameter_importance,
    performance_profiles,
    style,
    timeline,
)
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.drawing import save
from sidewinder.report.figures.study_tables import Tables
from sidewinder.results import EvaluationResult, Result, as_json
from sidewinder.trials.tables import distributions_json, evaluations_table, timings_table, trials_table
from sweep_figures import FIGURES

Write = Callable[[list[Result]], Path]
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
def write(tmp_path: Path) -> Callable[[list[Result]], Path]:
    """Writes a study's config and the tables of some results, and returns their directory."""

    def write_tables(results: list[Result]) -> Path:
        (tmp_path / "config.yaml").write_text(compose_study("made_up", ["study=pendulum_ddpg"]).dump())
        (tmp_path / "trials.csv").write_text(trials_table(results).to_csv(index=False))
        (tmp_path / "evaluations.csv").write_text(evaluations_table(results).to_csv(index=False))
        (tmp_path / "distributions.json").write_text(distributions_json(results))
        timings = {trial.number: [timing(10 * trial.number, 15)] for trial in results}
        (tmp_path / "timings.csv").write_text(timings_table(timings).to_csv(index=False))
        return tmp_path

    return write_tables


def timing(start: float, seconds: float, host: str = "here") -> dict[str, Any]:
    """Make the content of a training's timing.json; `start` and `seconds` are in seconds."""
    started = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=start)
    return {
        "started": started.isoformat(),
        "seconds": seconds,
        "environment_steps": 100,
        "host": host,
        "process": 1,
    }


def tables_in(directory: Path) -> Tables:
    return Tables.read(directory)


def drawn(name: str, directory: Path) -> Figure:
    with style.styled():
        figure: Figure = import_module(f"sidewinder.report.figures.{name}").draw(tables_in(directory))
        return figure


def draw(directory: Path, outputs: list[Path], trials: list[int] | None = None) -> None:
    save(outputs, FIGURES, tables_in(directory), contrast={"trials": trials})


def files(directory: Path) -> list[Path]:
    return [directory / f"{name}.{suffix}" for name in SWEEP_FIGURES for suffix in ("pdf", "png", "svg")]


@pytest.mark.slow
def test_a_redraw_has_the_same_bytes_and_no_date(write: Write) -> None:
    """All figures are drawn one after the other, and each format alone."""
    directory = write(usual())
    together, alone = (files(directory / name) for name in ("together", "alone"))
    draw(directory, together)
    for suffix in (".svg", ".png", ".pdf"):
        draw(directory, [path for path in reversed(alone) if path.suffix == suffix])
    for one, other in zip(together, alone, strict=True):
        content = one.read_bytes()
        assert content == other.read_bytes(), one
        assert len(content) > 2000
        assert b"Date" not in content
        assert b"matplotlib.org" not in content


@pytest.mark.slow
@pytest.mark.parametrize(
    "results",
    [
        [result(0, [-1.0, -2.0])],
        [result(0, [], "failed"), result(1, [-3.0], "pruned")],
        [result(number, [-1.0 * number], rate=0.5, noise=False) for number in range(4)],
        [result(number, [-1.0], rate=0.1 * (number + 1)) for number in range(4)],
    ],
    ids=["one complete trial", "none complete", "nothing varies", "the same objective"],
)
def test_little_to_draw_is_no_error(results: list[Result], write: Write) -> None:
    directory = write(results)
    draw(directory, files(directory))
    assert all(path.stat().st_size > 1000 for path in files(directory))


def test_learning_curves_mark_best_and_worst(write: Write) -> None:
    axes = drawn("learning_curves", write(usual())).axes[0]
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
    assert lines[f"best (trial {BEST})"] == [-8.0, -1.0]
    assert lines[f"worst (trial {WORST})"] == [-20.0, -19.0]
    assert axes.get_xlabel() == "environment steps"
    assert axes.get_ylabel() == "mean return of an evaluation"


def test_history_has_best_so_far_and_marks_those_without_objective(write: Write) -> None:
    lines = {str(line.get_label()): line for line in drawn("optimization_history", write(usual())).axes[0].get_lines()}
    assert np.asarray(lines["best so far"].get_ydata()).tolist()[-3:] == [-1.0, -1.0, -1.0]
    assert np.asarray(lines["pruned"].get_xdata()).tolist() == [PRUNED]
    assert np.asarray(lines["failed"].get_xdata()).tolist() == [FAILED]


def test_contrast_lists_what_differs(write: Write) -> None:
    directory = write(usual())
    texts = [text.get_text() for text in drawn("contrast", directory).axes[1].texts]
    # The best and the worst trial have the same action noise: their numbers are even.
    assert texts == ["", f"best (trial {BEST})", f"worst (trial {WORST})", "learning_rate", "0.032", "0.008"]
    with pytest.raises(SidewinderError, match="--trials: found 99"):
        draw(directory, [directory / "contrast.pdf"], [0, 99])


def test_importance_names_what_matters(write: Write) -> None:
    results = [result(n, [-abs(n - 6.0)], rate=0.002 * 2 ** (n / 2)) for n in range(16)]
    labels = [label.get_text() for label in drawn("parameter_importance", write(results)).axes[0].get_yticklabels()]
    assert labels == ["learning_rate", "action_noise"]


def test_importance_of_a_parameter_that_some_trials_lack(write: Write) -> None:
    """PED-ANOVA can rate such a parameter, fANOVA cannot."""
    results = [result(n, [-abs(n - 6.0)], rate=0.002 * 2 ** (n / 2)) for n in range(16)]
    for lacking in results[1::2]:
        del lacking.params["agent.action_noise"]
        del lacking.distributions["agent.action_noise"]
    left, right = drawn("parameter_importance", write(results)).axes
    texts = [[text.get_text() for text in axes.texts] for axes in (left, right)]
    assert "not in all trials" not in texts[0]
    assert "not in all trials" in texts[1]


def test_slices_and_contours_have_the_parameters_that_matter(write: Write) -> None:
    results = [result(n, [-abs(n - 6.0)], rate=0.002 * 2 ** (n / 2)) for n in range(16)]
    directory = write(results)
    assert parameter_importance.most_important(tables_in(directory), 1) == ["agent.learning_rate"]
    slices = drawn("slices", directory).axes[:2]
    assert [axes.get_xlabel() for axes in slices] == ["action_noise", "learning_rate"]
    points = slices[1].collections[0].get_offsets()
    assert np.asarray(points).tolist() == [[trial.params["agent.learning_rate"], trial.objective] for trial in results]
    axes = drawn("contours", directory).axes[0]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"learning_rate", "action_noise"}


def test_the_timeline_has_a_row_a_worker() -> None:
    """Two trainings run at a time here, and one on another host. The pause between a kill and the next run is cut."""
    starts = [(0, "here"), (2, "here"), (3, "there"), (10, "here"), (500, "here"), (501, "here")]
    rows = {number: [timing(start, 8, host)] for number, (start, host) in enumerate(starts)}
    table = timings_table(rows)
    trainings, pauses = timeline.without_pauses(table.assign(started=pd.to_datetime(table["started"])))
    expected = [0, 2, 3, 10, 18, 19]
    assert (60 * trainings["start"]).tolist() == pytest.approx(expected)
    assert (60 * trainings["end"]).tolist() == pytest.approx([start + 8 for start in expected])
    assert [60 * moment for moment in pauses] == pytest.approx([18])
    found = timeline.workers(trainings)
    assert found == [("here", 0), ("here", 1), ("there", 0), ("here", 0), ("here", 0), ("here", 1)]


def test_a_timeline_says_where_trials_were_pruned(write: Write) -> None:
    figure = drawn("timeline", write(usual()))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["complete", "pruned", "failed"]
    colors = {tuple(bar.get_facecolor()) for bar in figure.axes[0].patches}
    assert len(colors) == 3
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["worker 1 on here", "worker 2 on here"]


def test_a_missing_table_and_an_unknown_figure_are_said_in_one_line(write: Write, tmp_path: Path) -> None:
    directory = write(usual())
    with pytest.raises(SidewinderError, match=r"--output: found '.*history.pdf', accepted: .pdf, .png, .svg of optim"):
        draw(directory, [tmp_path / "contrast.pdf", tmp_path / "history.pdf"])
    (directory / "trials.csv").unlink()
    with pytest.raises(SidewinderError, match=r"trials.csv: no such file"):
        draw(directory, [tmp_path / "contrast.pdf"])
    assert not (tmp_path / "contrast.pdf").exists()


# Studies side by side

ENTRY = ["study=plain", "agent=ddpg,sac", "environment=pendulum,mountain_car_continuous", "study.seed=range(2)"]


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Writes the tables of a matrix's studies, and returns the directory that holds the studies.

    The objective of agent number `a`, seed `s` and trial `n` is 10 a + s + n. The last trial was pruned half way. On
    test seeds the winner has 100 + s + index, the defaults have 101 + s, and the Zoo's setting, which exists for
    Pendulum only, has 90.
    """
    for study, overrides in expanded({"made": ENTRY}).items():
        directory = tmp_path / study
        config = compose_study(study, overrides)
        directory.mkdir()
        (directory / "config.yaml").write_text(config.dump())
        base = (10 if "agent=sac" in overrides else 0) + config.study.seed
        results = [result(number, [-1.0, base + number], rate=0.1 * (number + 1)) for number in range(3)]
        results.append(result(3, [-1.0], "pruned"))
        (directory / "trials.csv").write_text(trials_table(results).to_csv(index=False))
        (directory / "evaluations.csv").write_text(evaluations_table(results).to_csv(index=False))
        (directory / "distributions.json").write_text(distributions_json(results))
        returns = {"winner": [100.0 + config.study.seed + index for index in range(3)]}
        returns["defaults"] = [101.0 + config.study.seed] * 3
        if "environment=pendulum" in overrides:
            returns["zoo"] = [90.0] * 3
        rows = [
            {
                "phase": "test",
                "candidate": name,
                "trial": 1 if name == "winner" else None,
                "index": index,
                "state": "complete",
                "n_episodes": 5,
                "mean_return": value,
                "std_return": 1.0,
                "reason": None,
            }
            for name, values in returns.items()
            for index, value in enumerate(values)
        ]
        pd.DataFrame(rows).to_csv(directory / "confirmation.csv", index=False)
    return tmp_path


@pytest.mark.slow
def test_figures_of_a_comparison(studies: Path, tmp_path: Path) -> None:
    comparison = Comparison.read("made", ENTRY, studies)
    contents = []
    for again in ("once", "twice"):
        outputs = [tmp_path / again / f"{name}.{kind}" for name in COMPARISON_FIGURES for kind in ("svg", "pdf", "png")]
        save(outputs, COMPARISON_FIGURES, comparison)
        contents.append([path.read_bytes() for path in outputs])
    assert contents[0] == contents[1]
    assert min(map(len, contents[0])) > 2000


def test_studies_that_differ_in_their_seed_are_one_line(studies: Path) -> None:
    comparison = Comparison.read("made", ENTRY, studies)
    assert comparison.labels == ["ddpg"] * 4 + ["sac"] * 4
    assert (
        comparison.environments == ["Pendulum-v1"] * 2 + ["MountainCarContinuous-v0"] * 2 + comparison.environments[:4]
    )
    ((_, pendulum), _) = comparison.by_environment()
    assert [label for label, _ in pendulum] == ["ddpg", "ddpg", "sac", "sac"]
    first, _, _, last = best_so_far.progress(pendulum, "trials")
    assert (first["best"].tolist(), last["best"].tolist()) == ([0, 1, 2, 2], [11, 12, 13, 13])
    # Each trial has 200 steps, and the pruned one 100.
    by_steps = best_so_far.progress(pendulum, style.STEPS)[0].set_index(style.STEPS)["best"]
    assert by_steps.index.max() == 700
    assert by_steps[by_steps.index < 200].isna().all()
    assert (by_steps[196], by_steps[203], by_steps[700]) == (pytest.approx(np.nan, nan_ok=True), 0, 2)
    with style.styled():
        figure = best_so_far.draw(comparison)
    mean = figure.axes[0].get_lines()[0].get_ydata()
    assert np.asarray(mean).tolist() == [0.5, 1.5, 2.5, 2.5]


def test_profiles_have_the_settings_that_all_tasks_share(studies: Path) -> None:
    comparison = Comparison.read("made", ENTRY, studies)
    scores = performance_profiles.scores_by_candidate(comparison)
    assert list(scores) == ["winner", "defaults"]
    # One part per label and environment. The lowest return is 90 in Pendulum and 100 in the other environment.
    assert [len(part) for part in scores["winner"]] == [6, 6, 6, 6]
    assert [part[0] for part in scores["winner"]] == pytest.approx([10 / 13, 0, 10 / 13, 0])


def test_probability_of_improvement_in_each_task_and_over_all(studies: Path) -> None:
    with style.styled():
        figure = import_module("sidewinder.report.figures.probability_of_improvement").draw(
            Comparison.read("made", ENTRY, studies)
        )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["ddpg, Pendulum-v1", "ddpg, MountainCarContinuous-v0", *labels[2:4], "all"]
    places = {
        line.get_ydata()[0]: line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.get_marker() == "D"
    }
    assert places[0.15] == 1  # compared with the Zoo's setting
    assert places[-0.15] == pytest.approx(0.5)  # 100 to 103 against 101 and 102
    assert 4.15 not in places  # the Zoo has no setting for one of the environments


def without_returns(directory: Path, candidate: str, study: str = "*", indices: tuple[int, ...] = (0, 1, 2)) -> None:
    """Rewrite confirmation tables as if these trainings had failed."""
    for path in directory.glob(f"{study}/confirmation.csv"):
        table = pd.read_csv(path)
        table.loc[(table["candidate"] == candidate) & table["index"].isin(indices), "mean_return"] = np.nan
        table.to_csv(path, index=False)


def below(figure: Figure) -> str:
    """Return the text below a figure's axes."""
    return " ".join(figure.get_supxlabel().split())


def comparison_figure(name: str, studies: Path) -> Figure:
    with style.styled():
        figure: Figure = import_module(f"sidewinder.report.figures.{name}").draw(
            Comparison.read("made", ENTRY, studies)
        )
        return figure


def test_failures_are_said_and_not_compared(studies: Path) -> None:
    names = ("tuned_and_baselines", "performance_profiles", "probability_of_improvement")
    assert [below(comparison_figure(name, studies)) for name in names] == ["", "", ""]
    without_returns(studies, "defaults")
    without_returns(studies, "winner", "*sac-mountain_car_continuous-1", (2,))
    for name in names:
        found = below(comparison_figure(name, studies))
        assert "ddpg, Pendulum-v1: defaults failed in 6 of 6" in found, name
        assert "sac, MountainCarContinuous-v0: tuned failed in 1 of 6" in found, name
    improvement = comparison_figure("probability_of_improvement", studies).axes[0]
    assert [text.get_text() for text in improvement.texts] == ["not compared"] * 5
    # What remains is the comparison with the Zoo, which has a setting for one environment.
    assert [line.get_marker() for line in improvement.get_lines()].count("D") == 2
    # A failed training reaches no score, not even the lowest. A setting whose trainings all failed has no line.
    (line,) = comparison_figure("performance_profiles", studies).axes[0].get_lines()
    assert line.get_label() == "tuned"
    scores = performance_profiles.scores_by_candidate(Comparison.read("made", ENTRY, studies))
    assert sum(int(np.isnan(part).sum()) for part in scores["winner"]) == 1


def test_studies_without_baselines_are_drawn(studies: Path) -> None:
    for path in studies.glob("*/confirmation.csv"):
        table = pd.read_csv(path)
        table[table["candidate"] == "winner"].to_csv(path, index=False)
    figure = comparison_figure("probability_of_improvement", studies)
    assert [text.get_text() for text in figure.texts] == ["no study has a baseline"]
    for name in ("tuned_and_baselines", "performance_profiles"):
        assert comparison_figure(name, studies).axes


def test_failures_of_a_studys_confirmation(write: Write) -> None:
    """If all validation seeds failed, the returns of the test seeds keep their place."""
    directory = write(usual())
    returns = [("validation", "top-1", None), ("test", "winner", -2.0), ("test", "defaults", None)]
    rows: list[dict[str, object]] = [
        {"phase": phase, "candidate": name, "trial": None if name == "defaults" else BEST, "index": index}
        | {"state": "complete", "n_episodes": 5, "mean_return": value, "std_return": 1.0, "reason": None}
        for phase, name, first in returns
        for index, value in enumerate([first, None])
    ]
    pd.DataFrame(rows).to_csv(directory / "confirmation.csv", index=False)
    assert below(drawn("test_returns", directory)) == "tuned failed in 1 of 2; defaults failed in 2 of 2"
    gap = drawn("selection_gap", directory)
    assert below(gap) == f"validation of trial {BEST} failed in 2 of 2; test of trial {BEST} failed in 1 of 2"
    assert np.asarray(gap.axes[0].get_lines()[0].get_xdata()).tolist() == [0, 2]
