"""Pages of Snakemake's report that are more than a figure. Each is one HTML file that opens offline."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from itables import options, to_html_datatable
from itables.javascript import generate_init_offline_itables_html
from markdown import markdown

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 1.5em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
pre { background: #f5f5f5; padding: .8em; overflow: auto; }
summary { cursor: pointer; }
""".strip()


def summary(title: str, texts: Sequence[str], files: Mapping[str, str]) -> str:
    """Return a page that shows Markdown, and below it whole files, folded.

    Args:
        title: The page's title.
        texts: Markdown, with tables and fenced code.
        files: The files' contents, by file name.
    """
    body = markdown("\n\n".join(texts), extensions=["tables", "fenced_code"])
    folded = (
        f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>" for name, text in files.items()
    )
    return _page(title, "\n".join([body, *folded]))


def searchable(title: str, frame: pd.DataFrame) -> str:
    """Return a page with a table that readers can search, and sort by each column."""
    table = to_html_datatable(
        frame.dropna(axis="columns", how="all"),
        connected=False,
        table_id="table",
        showIndex=False,
        # The default of itables leaves out the search where all rows fit on one page.
        layout={"topStart": "search", "topEnd": "pageLength"},
        lengthMenu=[25, 100, -1],
        maxBytes=0,
        classes="display compact nowrap",
    )
    return _page(title, generate_init_offline_itables_html(options.dt_bundle) + table)


def animated(title: str, gif: bytes) -> str:
    """Return a page with an animation. The title is also its alternative text."""
    return _page(title, f'<img alt="{escape(title)}" src="data:image/gif;base64,{b64encode(gif).decode()}">')


def _page(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
