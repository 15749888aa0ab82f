"""Rule test_returns: draw the winner's returns on the test seeds beside those of the baselines."""

import numpy as np
from matplotlib.figure import Figure

from sidewinder import figures
from sidewinder.confirmation import figures as test_figures
from sidewinder.figures import BLUE, COLUMN, GREEN, GREY, VERMILION, Tables

COLORS = {"winner": BLUE, "defaults": VERMILION, "zoo": GREEN}


def main() -> None:
    figures.make(draw, figures.parser(__doc__).parse_args())


def draw(tables: Tables) -> Figure:
    """A row a setting: a point a test seed, the mean over its episodes; a mean over seeds with its interval."""
    if tables.confirmation.empty:
        return figures.empty("the study is not confirmed yet")
    test = tables.confirmation[tables.confirmation["phase"] == "test"]
    candidates = list(test["candidate"].unique())
    figure = Figure(figsize=(COLUMN, 0.7 + 0.45 * len(candidates)))
    axes = figure.subplots()
    for height, name in enumerate(candidates):
        rows, color = test[test["candidate"] == name], COLORS.get(name, GREY)
        returns = rows["mean_return"].dropna()
        axes.plot(returns, np.full(len(returns), height + 0.15), ".", color=color, alpha=0.5, markersize=5)
        if (found := test_figures(rows)) is not None:
            mean = found.mean
            error = [[mean.value - mean.low], [mean.high - mean.value]]
            axes.errorbar(mean.value, height - 0.15, xerr=error, fmt="D", color=color, markersize=4, capsize=2)
    axes.set_yticks(range(len(candidates)), ["tuned" if name == "winner" else name for name in candidates])
    axes.set_ylim(len(candidates) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"return on {test['index'].nunique()} test seeds; mean with 95% interval")
    return figure


if __name__ == "__main__":
    main()
