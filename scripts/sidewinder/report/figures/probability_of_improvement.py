"""The probability that a training with the tuned setting is better than with a baseline, in each task and overall."""

from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import probability_of_improvement
from sidewinder.report.figures import style
from sidewinder.report.figures.comparison import Comparison
from sidewinder.report.figures.test_returns import COLORS, NAMES, draw_estimate


def draw(comparison: Comparison) -> Figure:
    """Draw a row for each task and one for all tasks, with a diamond and a 95 % bootstrap interval for each baseline.

    A pair of settings is not compared if trainings of either failed.
    """
    if comparison.test.empty:
        return style.empty("no study has a winner")
    test, direction = comparison.test, comparison.studies[0].direction
    # Tasks take the place of environments: the estimate over all is the mean over tasks, with seeds resampled in each.
    test = test.assign(environment=test["label"] + ", " + test["task"])
    tasks = {str(task): rows for task, rows in test.groupby("environment", sort=False)}
    rows = {**tasks, "all": test[test["candidate"].isin(comparison.candidates)]} if len(tasks) > 1 else tasks
    baselines = [name for name in COLORS if name != "winner" and name in set(test["candidate"])]
    if not baselines:
        return style.empty("no study has a baseline")
    figure = Figure(figsize=(style.COLUMN, 0.8 + 0.3 * len(rows)))
    axes = figure.subplots()
    for height, own in enumerate(rows.values()):
        tuned = own[own["candidate"] == "winner"]
        for shift, name in enumerate(baselines):
            others = own[own["candidate"] == name]
            if len(others):
                place = height + 0.3 * (shift - (len(baselines) - 1) / 2)
                if (found := probability_of_improvement(tuned, others, direction)) is not None:
                    draw_estimate(axes, found, place, COLORS[name])
                else:
                    axes.text(0.5, place, "not compared", color=COLORS[name], fontsize=6, ha="center", va="center")
    axes.axvline(0.5, color="black", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="P(tuned is better)", xlim=(-0.02, 1.02))
    style.legend(figure, {f"than {NAMES[name]}": COLORS[name] for name in baselines})
    style.note_failures(figure, comparison.settings())
    return figure
