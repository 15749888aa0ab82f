"""Write the lists of options in docs/ from the schema: keys, defaults and descriptions.

A list is between `<!-- options: <section> -->` and `<!-- end -->`. The text between them is replaced.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.config.identity import Identity
from sidewinder.config.run_sections import Environment, Evaluation, EvaluationEnvironment, Section, Training
from sidewinder.config.study_settings import Confirmation, StudySettings
from sidewinder.paths import ROOT

SECTIONS: dict[str, type[Section]] = {
    "environment": Environment,
    "training": Training,
    "evaluation": Evaluation,
    "evaluation.environment": EvaluationEnvironment,
    "study": StudySettings,
    "confirmation": Confirmation,
}
PAGES = ("docs/configuration.md", "docs/confirmation.md")
_LIST = re.compile(r"(<!-- options: ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(with_lists(path.read_text(encoding="utf-8")), encoding="utf-8")


def with_lists(text: str) -> str:
    """Return a page's text with its lists replaced by lists from the schema."""
    return _LIST.sub(lambda found: found[1] + "".join(options(found[2])) + found[3], text)


def options(section: str) -> Iterator[str]:
    """Give an entry for each key of a section that a user can set: `- `key` (default): description`."""
    defaults = OmegaConf.merge(*(OmegaConf.load(ROOT / f"configs/{name}.yaml") for name in ("train", "tune")))
    values = OmegaConf.to_container(OmegaConf.select(defaults, section))
    assert isinstance(values, dict)
    for key, field in SECTIONS[section].model_fields.items():
        if isinstance(values.get(key), dict) and f"{section}.{key}" in SECTIONS:
            continue  # has a separate list
        if key not in values and not field.is_required():
            continue  # set when the study is composed
        if key == "name":
            continue
        assert field.description, f"{section}.{key} has no description"
        default = f" ({_shown(values[key])})" if key in values else ""
        always = " May change at any time." if Identity.NEVER in field.metadata else ""
        text = f"`{section}.{key}`{default}: {' '.join(field.description.split())}{always}"
        lines = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
        yield "- " + "\n  ".join(lines) + "\n"


def _shown(value: Any) -> str:
    """Return a value as YAML in one line."""
    return str(value) if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


if __name__ == "__main__":
    main()
