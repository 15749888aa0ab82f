"""Runs the scripts of a workflow's jobs in processes forked from one that has imported torch and the other packages.

The imports of a job take longer than its training in most tests. A `python` of its own hands each script of this
repository to a server, and passes everything else on to the real Python. The server imports only other
packages, with the pins of the shipped configs (`determinism.pin`). A job with other pins gets a process of its own, as
all jobs do for users.
"""

import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PINNED = ("avx2", 1)
_IMPORTED = [
    "hydra",
    "itables",
    "markdown",
    "matplotlib.pyplot",
    "optuna.importance",
    "pandas",
    "pydantic",
    "rich.table",
    "sb3_contrib",
    "scipy.stats",
    "seaborn",
    "sklearn.ensemble",
    "stable_baselines3",
    "statsmodels.api",
    "torch.utils.tensorboard",
]
# Isolated and without the site-packages, Python starts in a tenth of the time.
_CLIENT = """#!{python} -IS
import json, os, socket, sys
script = os.path.realpath(sys.argv[1]) if len(sys.argv) > 1 else ""
if os.path.dirname(script) != {scripts!r}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
call = {{"arguments": sys.argv[1:], "directory": os.getcwd(), "environment": dict(os.environ)}}
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"fds"], [0, 1, 2])
server.sendall(json.dumps(call).encode() + b"\\n")
code = int(server.recv(8) or b"-9")
os._exit(code if code >= 0 else 128 - code)
"""


@cache
def python() -> Path:
    """Start the server, which ends with this process. Returns the `python` that hands scripts to it."""
    import subprocess
    import sys
    from tempfile import mkdtemp

    from sidewinder.determinism import LEVELS

    directory = Path(mkdtemp(prefix="forked-jobs-"))
    client = directory / "python"
    client.write_text(_CLIENT.format(python=sys.executable, scripts=str(SCRIPTS), address=str(directory / "socket")))
    client.chmod(0o755)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(PINNED[1]))
    server = subprocess.Popen(
        [sys.executable, __file__, str(directory / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | LEVELS[PINNED[0]] | threads,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return client


def main() -> None:
    """Serve, and in each forked process run the script of its call."""
    import gc
    import runpy
    import sys

    for name in _IMPORTED:
        import_module(name)
    gc.freeze()
    arguments = _next_call(sys.argv[1])
    if arguments is None:
        return
    # As Python starts a script.
    sys.argv[:] = arguments
    sys.path[0] = str(SCRIPTS)
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    _pin_as_the_server(arguments)
    runpy.run_path(arguments[0], run_name="__main__")


def _next_call(address: str) -> list[str] | None:
    """Fork for each call, and return its arguments in the new process. Returns None when the tests have ended."""
    import json
    import shutil
    import signal
    import socket
    import sys
    from selectors import EVENT_READ, DefaultSelector

    selector = DefaultSelector()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    selector.register(listening, EVENT_READ)
    selector.register(sys.stdin, EVENT_READ)
    # Each call's connection and process, twice: by the connection's file descriptor and by that of the process.
    clients: dict[int, tuple[socket.socket, int, int]] = {}
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                for _, pid, _ in clients.values():
                    os.kill(pid, signal.SIGKILL)
                shutil.rmtree(Path(address).parent, ignore_errors=True)
                return None
            if key.fileobj is listening:
                connection, _ = listening.accept()
                _, descriptors, _, _ = socket.recv_fds(connection, 3, 3)
                with connection.makefile("rb") as file:
                    call = json.loads(file.readline())
                pid = os.fork()
                if pid == 0:
                    for number, descriptor in enumerate(descriptors):
                        os.dup2(descriptor, number)
                        os.close(descriptor)
                    for other, _, process in set(clients.values()):
                        other.close()
                        os.close(process)
                    listening.close()
                    connection.close()
                    selector.close()
                    os.chdir(call["directory"])
                    os.environ.clear()
                    os.environ.update(call["environment"])
                    return list(call["arguments"])
                for descriptor in descriptors:
                    os.close(descriptor)
                process = os.pidfd_open(pid)
                client = (connection, pid, process)
                clients[process] = clients[connection.fileno()] = client
                selector.register(process, EVENT_READ)
                selector.register(connection, EVENT_READ)
            elif selector.get_map().get(key.fileobj) is key:  # else it has ended, and its number may be another's
                connection, pid, process = clients[key.fd]
                if key.fd != process:
                    os.kill(pid, signal.SIGKILL)  # somebody killed the client
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(OSError):
                    connection.sendall(str(code).encode())
                for descriptor in (process, connection.fileno()):
                    selector.unregister(descriptor)
                    del clients[descriptor]
                os.close(process)
                connection.close()


def _pin_as_the_server(arguments: list[str]) -> None:
    """Let `pin` accept that numpy and torch are loaded, and start a new process for other pins than the server's."""
    import sys

    from sidewinder import determinism

    pin = determinism.pin

    def pin_here(instruction_set: str, threads: int, device: str = "cpu") -> None:
        if (instruction_set, threads) != PINNED:
            os.execv(sys.executable, [sys.executable, *arguments])
        loaded = {name: sys.modules.pop(name) for name in ("numpy", "torch")}
        try:
            pin(instruction_set, threads, device)
        finally:
            sys.modules.update(loaded)

    determinism.pin = pin_here


if __name__ == "__main__":
    main()
