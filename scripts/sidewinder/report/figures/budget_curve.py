"""Compares studies: the best objective that smaller budgets would have reached."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sidewinder.confirmation.statistics import interval_of_mean
from sidewinder.report.figures import style
from sidewinder.report.figures.best_so_far import TRIALS, progress
from sidewinder.report.figures.comparison import Comparison

SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)


def draw(comparison: Comparison) -> Figure:
    """Draw the best objective among the first 5, 10, 20, 50 and 100 % of the trials, on one axes for each environment.

    Points are means over the studies that differ in their seed only. Lines are 95 % bootstrap intervals of these means.
    """
    environments = list(comparison.by_environment())
    figure = Figure(figsize=(style.COLUMN, 2.2 * len(environments)))
    every = figure.subplots(len(environments), squeeze=False)[:, 0]
    colors = style.palette(comparison.labels)
    for axes, (environment, studies) in zip(every, environments, strict=True):
        frames = []
        for frame in progress(studies, TRIALS):
            number = {f"{share:.0%}": max(1, round(share * len(frame))) for share in SHARES}
            frames.append(
                pd.DataFrame(
                    {
                        "share": list(number),
                        "best": frame.set_index(TRIALS)["best"].reindex(list(number.values())).to_numpy(),
                        "label": frame["label"].iloc[0],
                    }
                )
            )
        sns.pointplot(
            pd.concat(frames),
            x="share",
            y="best",
            hue="label",
            palette=colors,
            dodge=0.3 if len(colors) > 1 else False,
            errorbar=interval_of_mean,
            markersize=4,
            linewidth=1,
            linestyle="none",
            legend=False,
            ax=axes,
        )
        axes.set(xlabel="share of the trials", ylabel=f"best {studies[0][1].objective}\n{environment}")
    style.legend(figure, colors)
    return figure
