"""Rule learning_curves: draw every trial's mean return against environment steps, the best and the worst marked."""

from typing import Any

from matplotlib.figure import Figure

from sidewinder import figures
from sidewinder.figures import BLUE, COLUMN, GREY, VERMILION, Tables


def main() -> None:
    figures.make(draw, figures.parser(__doc__).parse_args())


def draw(tables: Tables) -> Figure:
    """Axes: environment steps, mean return. Best and worst are those of the complete trials, by their objective."""
    if tables.evaluations.empty:
        return figures.empty("no trial was evaluated")
    figure = Figure(figsize=(COLUMN, 2.6))
    axes = figure.subplots()
    complete = tables.ranked()
    marked = {*complete[:1], *complete[-1:]}
    others = [number for number in tables.params if number not in marked and not tables.curve(number).empty]
    # The dot is where it ended, and shows a trial that was evaluated once.
    style: dict[str, Any] = {"color": GREY, "linewidth": 0.5, "marker": ".", "markersize": 2, "markevery": [-1]}
    for number in others:
        curve, label = tables.curve(number), "other trials" if number == others[0] else "_"
        axes.plot(curve["step"], curve["mean_return"], label=label, **style)
    if complete:
        figures.draw_curve(axes, tables.curve(complete[0]), BLUE, "-", f"best (trial {complete[0]})")
    if len(complete) > 1:
        figures.draw_curve(axes, tables.curve(complete[-1]), VERMILION, "--", f"worst (trial {complete[-1]})")
    figures.label_curves(figure, axes, tables.value)
    return figure


if __name__ == "__main__":
    main()
