"""A paper's studies: all their files, and their figures and report made again from an archive."""

import shutil
import sys
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from made_once import made_once
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from tiny_study import REPOSITORY, TINY, run, run_to_the_end

from sidewinder.report.figures import COMPARISON_FIGURES, SWEEP_FIGURES, WINNER_FIGURES
from sidewinder.training.archives import TAR

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
STUDY = [
    *TINY,
    "study.n_trials=4",
    "sampler.n_startup_trials=2",
    "confirmation.top_k=1",
    "confirmation.baselines=[defaults]",
]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory with a paper of two studies in results/paper."""

    def make(directory: Path) -> None:
        paper = {"studies": {"seeds": [*STUDY, "study.seed=range(2)"]}, "in_full": ["seeds-1"]}
        # The other study is no part of the paper: it is neither run nor drawn.
        (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"other": TINY}, "paper": paper}))
        output = run_to_the_end(directory, "--profile", str(REPOSITORY / "workflow/profiles/progress"), "paper")
        assert "seeds-0" in output  # the summary

    return made_once("paper", make, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def archived(made: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that has only the paper's archive, and the figures that are drawn from it."""

    def make(directory: Path) -> None:
        archive = directory / "results/reference"
        done = run([sys.executable, str(REPOSITORY / "scripts/archive.py"), str(made / "results/paper"), str(archive)])
        assert done.returncode == 0, done.stderr
        shutil.copy(made / "config.yaml", directory)
        assert "rule trial" not in run_to_the_end(directory, "figures")

    return made_once("archived", make, tmp_path_factory, worker_id)


def test_figures_of_a_paper_again_from_its_archive(made: Path, archived: Path) -> None:
    paper, archive = made / "results/paper", archived / "results/reference"
    assert sorted(path.name for path in archive.iterdir()) == ["seeds", "seeds-0", "seeds-1", TAR]
    assert (archive / "seeds-0/best.yaml").read_bytes() == (paper / "seeds-0/best.yaml").read_bytes()
    assert set(pd.read_csv(archive / "seeds-0/timings.csv")["host"]) == {"machine 1"}
    figures = [
        f"{directory}/figures/{name}.{suffix}"
        for directory, names in (("seeds", COMPARISON_FIGURES), ("seeds-1", (*SWEEP_FIGURES, *WINNER_FIGURES)))
        for name in names
        for suffix in ("svg", "pdf", "png")
    ]
    assert all((archive / name).exists() for name in figures)
    unchanged = [name for name in figures if "timeline" not in name]
    assert {name: (archive / name).read_bytes() for name in unchanged} == {
        name: (paper / name).read_bytes() for name in unchanged
    }
    assert not (archived / "results/paper").exists()
    assert not (archived / "results/other").exists()


def test_what_is_not_archived_is_said_and_not_drawn(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "results/paper/seeds-1", tmp_path / "results/reference/seeds-1")
    shutil.copy(made / "config.yaml", tmp_path)
    output = run_to_the_end(tmp_path, "--dry-run", "--forcerun", "sweep_figures", "--", "figures")
    assert "figures: not in results/reference, so not drawn: paper/seeds-0" in output
    assert "rule sweep_figures" in output
    assert "rule comparison_figures" not in output


def test_a_video_of_a_studys_agents(made: Path) -> None:
    page = "results/paper/seeds-1/pages/video.html"
    assert "rule trial" not in run_to_the_end(made, page)
    gif = (made / "results/paper/seeds-1/video.gif").read_bytes()
    assert b64encode(gif).decode() in (made / page).read_text()
    with Image.open(BytesIO(gif)) as video:
        # The last frame of an episode of 50 steps.
        video.seek(49)
        assert video.size == (600, 340)
        assert len(set(video.convert("L").tobytes())) > 10
        with pytest.raises(EOFError):
            video.seek(50)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium installed")
def test_the_report_in_a_browser(archived: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    run_to_the_end(archived, "--report", str(report), "figures")
    problems: list[str] = []
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
        browser.new_context(offline=True) as context,
    ):
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: problems.append(request.url[:100]))
        page.goto(report.as_uri())
        page.get_by_text("tuned by Sidewinder").wait_for()
        captions = page.evaluate("Object.values(results).map(result => result.caption)")
        assert all("seeds" in caption and "4 trials of 150 environment steps" in caption for caption in captions)
        look_at_figures(page, "reference/seeds", COMPARISON_FIGURES)
        page.reload()
        look_at_figures(page, "reference/seeds-1", (*SWEEP_FIGURES, *WINNER_FIGURES))
        look_at_pages(page)
    assert problems == []


def look_at_figures(page: Page, category: str, figures: Sequence[str]) -> None:
    """Press the button of each figure and check that it is shown as an image."""
    page.get_by_text(category, exact=True).click()
    for name in figures:
        show(page, name)
        image = page.locator(f"img[src*='filename={name}.svg']")
        image.wait_for()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100, name


def look_at_pages(page: Page) -> None:
    """Check that the summary has the main results, and that the table of trials can be searched."""
    show(page, "summary")
    summary = page.frame_locator("iframe").locator("body")
    text = summary.inner_text()
    assert "gain of tuned [95% CI]" in text
    assert "4 (" in text  # trials
    assert "seeds-1: [study=pendulum_ddpg, study.n_trials=8" in text
    summary.locator("summary", has_text="best.yaml").click()
    assert "probability_that_winner_is_better" in summary.inner_text()
    show(page, "trials")
    table = page.frame_locator("iframe")
    rows = table.locator("tbody tr:visible")
    expect(rows.filter(has_text="complete")).not_to_have_count(0)
    expect(rows).to_have_count(4)
    table.locator("input[type=search]:visible").fill("no such trial")
    expect(rows).to_have_text(["No matching records found"])


def show(page: Page, name: str) -> None:
    """Press the button with the eye of a result."""
    row = page.locator("tr", has=page.get_by_text(name.replace("_", " "), exact=True))
    row.locator("a[iconname=eye]").click()
