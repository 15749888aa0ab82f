# Functions that give outputs.


def drawn(figures, of="study"):
    """Return the files of these figures: for each an SVG, which goes into the report, a PDF and a PNG."""
    paths = {figure: f"<results>/{{{of}}}/figures/{figure}" for figure in figures}
    svgs = [in_report(f"{path}.svg", figure, of) for figure, path in paths.items()]
    return [*svgs, *(f"{path}.{suffix}" for path in paths.values() for suffix in ("pdf", "png"))]


def in_report(path, name, of="study"):
    caption, category = f"../report/{name}.rst", f"{{{of}}}"
    return report(path, caption=caption, category=category, labels={"shows": name.replace("_", " ")})
