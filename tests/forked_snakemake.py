"""Runs Snakemake in processes forked from one that has imported it: the import takes longer than most of the tests.

The server imports only Snakemake and other packages. A Snakefile imports this project's modules as it does for users.
"""

import json
import os
import select
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from forked_jobs import python

# Reads one call per line, and prints its exit code.
_SERVER = """
import json, os, sys
import hydra, omegaconf, optuna, pydantic, rich.console, snakemake.report, yaml
from snakemake.cli import main
for line in sys.stdin:
    call = json.loads(line)
    process = os.fork()
    if process == 0:
        for number, path in enumerate((os.devnull, call["stdout"], call["stderr"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        os.chdir(call["directory"])
        os.environ.clear()
        os.environ.update(call["environment"])
        # The Snakefile puts the directory of its Python first in PATH.
        sys.executable = call["python"]
        # As `python -m` has it.
        sys.path[0] = call["directory"]
        sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.argv[:] = ["snakemake", *call["arguments"]]
        sys.exit(main())
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@cache
def _server() -> subprocess.Popen[str]:
    """Start the server. It ends with this process, which holds the only pipe to it."""
    command = [sys.executable, "-c", _SERVER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_forked(arguments: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` with these arguments, as subprocess.run would, in the present directory and environment."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with TemporaryDirectory() as directory:
        stdout, stderr = (str(Path(directory, name)) for name in ("stdout", "stderr"))
        call = {"arguments": arguments, "directory": str(Path.cwd()), "environment": dict(os.environ)}
        call["python"] = str(python())
        print(json.dumps(call | {"stdout": stdout, "stderr": stderr}), file=server.stdin, flush=True)
        if not select.select([server.stdout], [], [], timeout)[0]:
            for process in [*psutil.Process(server.pid).children(recursive=True), server]:
                process.kill()
            _server.cache_clear()
            raise subprocess.TimeoutExpired(arguments, timeout)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, Path(stdout).read_text(), Path(stderr).read_text())
