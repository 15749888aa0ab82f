"""The processes in which tests run the scripts of jobs behave like processes of Python."""

import subprocess
from pathlib import Path

import psutil
from forked_jobs import SCRIPTS, python
from tiny_study import wait_until


def jobs() -> list[psutil.Process]:
    """Return the processes that the server has forked."""
    python()
    servers = [one for one in psutil.Process().children() if "forked_jobs.py" in " ".join(one.cmdline())]
    return [job for server in servers for job in server.children()]


def test_output_and_exit_code_are_those_of_the_script(tmp_path: Path) -> None:
    command = [str(python()), str(SCRIPTS / "trial.py")]
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert helped.stdout.startswith("usage: trial.py")
    wrong = subprocess.run([*command, "trials/x"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "found trials/x, accepted: " in wrong.stderr


def test_other_commands_go_to_the_real_python() -> None:
    done = subprocess.run([str(python()), "-c", "import sys; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_a_kill_of_the_command_ends_the_job(tmp_path: Path) -> None:
    endless = ["agent=a2c", "environment=cartpole", "training.total_timesteps=1_000_000_000"]
    with subprocess.Popen([str(python()), str(SCRIPTS / "train.py"), *endless], cwd=tmp_path) as client:
        wait_until(jobs)
        client.kill()
    wait_until(lambda: not jobs())
