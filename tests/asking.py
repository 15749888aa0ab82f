"""Processes that ask for trials of a study. They are forked from a process that has imported all they need."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import sidewinder

_IMPORTED = f"""
import json, os, random, sys, time
sys.path.insert(0, {str(Path(sidewinder.__file__).parents[1])!r})
from pathlib import Path
from sidewinder.study.study import Study
import optuna.storages, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
directory = Path(sys.argv[1])
"""
# Forks processes that ask at the same time, each for one trial. Arguments: study directory, number of processes.
ASK_ALL = [
    sys.executable,
    "-c",
    f"""{_IMPORTED}
numbers = list(range(int(sys.argv[2])))
random.Random(1).shuffle(numbers)
start = time.time() + 1
for number in numbers:
    if os.fork() == 0:
        time.sleep(max(0, start - time.time()))
        print(json.dumps([number, Study.open(directory).ask(number).params]) + chr(10), end="", flush=True)
        os._exit(0)
sys.exit(max(os.wait()[1] for number in numbers))
""",
]
# Forks a process for each trial number that it reads from the standard input; the process asks for that trial. Prints
# the process's id, and then its exit code as subprocess has it. Argument: study directory.
ASK_EACH = [
    sys.executable,
    "-c",
    f"""{_IMPORTED}
for line in sys.stdin:
    if (process := os.fork()) == 0:
        try:
            Study.open(directory).ask(int(line))
        except BaseException:
            os._exit(1)
        os._exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
""",
]


def answers(directory: Path, processes: int) -> dict[int, dict[str, Any]]:
    """Ask for so many trials at the same time and return their parameters, by trial number. The database must not be
    reported as locked."""
    asked = subprocess.run(
        [*ASK_ALL, directory, f"{processes}"], capture_output=True, text=True, timeout=600, check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert "locked" not in asked.stderr
    return dict(json.loads(line) for line in asked.stdout.splitlines())
