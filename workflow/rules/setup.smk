# What the rules are written with: where scripts and results are, and the environment of their jobs.

import atexit
import os
import shlex
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

if isinstance(workflow.current_basedir, str | os.PathLike):
    scripts_directory = Path(workflow.current_basedir).resolve().parents[1] / "scripts"
else:
    # As a module from git, of which Snakemake has no files but its own: the scripts are those of the installed package.
    if find_spec("sidewinder") is None:
        sys.exit("error: Sidewinder as a module from git needs its package too: pip install it from the same commit")
    from sidewinder.paths import ROOT

    scripts_directory = ROOT / "scripts"
    # Rules and scripts of different commits would not fit each other.
    for path in [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]:
        name = path.relative_to(ROOT / "workflow").as_posix()
        # Snakemake drops the last newline of a file from a local repository.
        if Path(workflow.source_path(f"../{name}")).read_text().strip() != path.read_text().strip():
            sys.exit(
                f"error: Sidewinder as a module from git: found a workflow/{name} that differs from the installed "
                "package's, accepted: workflow and package of the same commit"
            )
# Put into the rules' shell commands at once: as a module, they would not know the name later.
SCRIPTS = shlex.quote(str(scripts_directory))
# A clone's own package, whether or not one is installed; an installed package is on the path already.
sys.path.insert(0, str(scripts_directory))
# Jobs run with Snakemake's own interpreter, also where its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
# Else sets of texts have another order in each process, and environments that use some do not repeat.
os.environ.setdefault("PYTHONHASHSEED", "0")
if workflow.is_main_process:
    # Which call a job belongs to: a training whose process was killed is tried again three times in one.
    os.environ.update(SIDEWINDER_CALL=uuid.uuid4().hex)

from sidewinder import errors_in_one_line
from sidewinder.config import matrix
from sidewinder.config.rule_settings import comparison_settings, rule_settings
from sidewinder.planning import Studies, check_rerun_triggers, check_storage
from sidewinder.report.figures import COMPARISON_FIGURES, PARETO_FIGURES, SWEEP_FIGURES, TABLES, WINNER_FIGURES
from sidewinder.training.archives import check_archives
