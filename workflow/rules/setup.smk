# Names that the rules use: the directory of the scripts and Sidewinder's modules; and the environment of the jobs.

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
    # As a module from git, Snakemake has only the files of the workflow. The scripts come from the installed package.
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
# The shell commands contain the value itself: in a module, the name would be unknown when a command is run.
SCRIPTS = shlex.quote(str(scripts_directory))
# In a clone, the clone's package is used even if another one is installed.
sys.path.insert(0, str(scripts_directory))
# Jobs run with the Python that runs Snakemake, even if its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
# Otherwise the order of sets of strings differs between processes, and so do environments that use this order.
os.environ.setdefault("PYTHONHASHSEED", "0")
if workflow.is_main_process:
    # Identifies this call of Snakemake. In one call, a training whose process was killed is tried again three times.
    os.environ.update(SIDEWINDER_CALL=uuid.uuid4().hex)

from sidewinder import errors_in_one_line
from sidewinder.config import matrix
from sidewinder.config.rule_settings import comparison_settings, rule_settings
from sidewinder.planning import Studies, check_rerun_triggers, check_storage
from sidewinder.report.figures import COMPARISON_FIGURES, PARETO_FIGURES, SWEEP_FIGURES, TABLES, WINNER_FIGURES
from sidewinder.training.archives import check_archives
