"""How Sphinx makes the documentation site: `make docs`."""

import sys
from pathlib import Path

from pygments.lexers.python import PythonLexer
from sphinx.highlighting import lexers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder import __version__

project = "Sidewinder"
version = release = __version__
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["requirements.lock"]
html_theme = "furo"
# Links to headings, as GitHub makes them.
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# A Snakefile is Python, and more, which Pygments does not know.
lexers["snakemake"] = PythonLexer()
