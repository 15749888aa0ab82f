"""A driver that disturbs a tiny study at random: kills, lost and damaged files and databases, other settings.

After every few disturbances the study is run to its end. It must then have the same bytes as a study that was made
undisturbed with the latest settings, and the same command again must have nothing to do.

python tests/chaos.py --rounds 25 --seed 1    # prints each disturbance; 1 if anything differs
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import optuna
import yaml
from tiny_study import REPOSITORY, processes, results, run, send, snakemake, started

STUDY = [
    "study=pendulum_ddpg",
    "study.workers=2",
    "sampler.n_startup_trials=2",
    "pruner=median",
    "pruner.n_startup_trials=1",
    "pruner.n_warmup_steps=0",
    "agent.learning_starts=30",
    "evaluation.n_eval_episodes=1",
    "confirmation.n_eval_episodes=1",
    "confirmation.baselines=[defaults]",
]
# Settings that do not change finished trials.
SETTINGS = [
    {
        "study.n_trials": 6,
        "confirmation.top_k": 2,
        "confirmation.n_validation_seeds": 1,
        "confirmation.n_test_seeds": 2,
    },
    {
        "study.n_trials": 5,
        "confirmation.top_k": 1,
        "confirmation.n_validation_seeds": 2,
        "confirmation.n_test_seeds": 3,
    },
]
# Settings of how the study is run. They change no byte of the results.
EXECUTIONS: list[dict[str, object]] = [
    {"study.trials_per_job": 3},
    {"study.trials_per_job": 1},
    {"study.trials_per_job": 2, "study.storage": "journal"},
    {"study.trials_per_job": 1, "training.checkpoint_every": 0},
    {"study.trials_per_job": 3, "training.checkpoint_every": "null"},
    {"study.trials_per_job": 2, "confirmation.keep_agents": "all"},
]
SWEEP, BEST, CARD = "results/tiny/trials.csv", "results/tiny/best.yaml", "results/tiny/agent/README.md"
TARGETS = [[], [SWEEP], [BEST]]
# Files that rules make from other files: damaged or lost, they are made again.
DERIVED = [
    "config.yaml",
    "trials.csv",
    "evaluations.csv",
    "distributions.json",
    "timings.csv",
    "confirmation.csv",
    "best.yaml",
    "best.md",
    "best.tex",
    "provenance.json",
    "agent/*",
    "confirmation/candidates/*.yaml",
    "confirmation/*/*/*.json",
    ".records/*",
    "figures/*",
    "pages/*",
]
# Files that no result depends on.
CHECKPOINTS = ["trials/*/checkpoint/*", ".trainings/*.checkpoint/*"]
KNOWN = [".trainings/*.json"]
AGENTS = [".trainings/*.agent/*"]
BESIDE = [
    *CHECKPOINTS,
    *AGENTS,
    "trials/*/timing.json",
    "trials/*/progress.json",
    "logs/*.log",
    "study.db",
    "study.journal",
]


def overrides(settings: Mapping[str, object], execution: Mapping[str, object]) -> list[str]:
    """The overrides of the study's entry in the configfile."""
    return [*STUDY, *(f"{key}={value}" for key, value in {**settings, **execution}.items())]


class Chaos:
    """A study in a directory, its disturbances, and the check of its results."""

    def __init__(
        self, directory: Path, seed: int, say: Callable[[str], None] = lambda _line: None, n_steps: int = 120
    ) -> None:
        """Start with the first settings and no results."""
        self.directory = directory
        self.study = directory / "disturbed/results/tiny"
        self.random = random.Random(seed)
        self.say = say
        self.lengths = {"training.total_timesteps": n_steps, "evaluation.eval_freq": n_steps // 3}
        self.settings: Mapping[str, int] = SETTINGS[0]
        self.execution = EXECUTIONS[0]
        self.n_disturbances = 0
        self._write_config()

    def disturb(self) -> None:
        """Disturb the study once, in a random way."""
        kinds = [
            self.start_and_kill,
            self.start_and_kill,
            self.start_on_a_full_disk,
            self.start_two_at_once,
            self.change_settings,
            self.change_execution,
            self.lose_a_file,
            self.damage_a_file,
            self.lose_a_result,
            self.make_a_file_older,
            self.swap_two_files,
            self.lose_the_database,
            self.damage_the_database,
            self.edit_the_database,
            self.lose_snakemakes_memory,
            self.date_in_the_future,
            self.move_the_results,
            self.touch_a_file,
        ]
        kind = self.random.choice(kinds)
        what = kind()
        self.n_disturbances += 1
        self.say(f"{self.n_disturbances}: {kind.__name__}: {what}")

    def check(self) -> list[str]:
        """Run the study to its end. Returns a line for each difference from an undisturbed study; empty if none."""
        command = snakemake(self.directory / "disturbed")
        done = run(command)
        if done.returncode != 0:
            return [f"exit code {done.returncode}: {done.stdout[-3000:]}{done.stderr[-6000:]}"]
        problems = []
        expected, found = (self._made(directory) for directory in (self._reference(), self.directory / "disturbed"))
        for name in sorted(expected.keys() | found.keys()):
            # Results of an earlier, larger budget stay.
            beyond = name not in expected and name.startswith(("trials/", "confirmation/"))
            if expected.get(name) != found.get(name) and not beyond:
                problems.append(f"{name}: differs")
        again = run([*command, "--dry-run"])
        if "Nothing to be done" not in again.stdout + again.stderr:
            problems.append(f"the same command again: {again.stdout[-3000:]}{again.stderr[-6000:]}")
        if self.execution.get("study.storage") is None:
            url = f"sqlite:///{self.study}/study.db"
            trials = optuna.load_study(study_name="tiny", storage=url).trials[
                : int(str(self.settings["study.n_trials"]))
            ]
            problems += [f"study.db: trial {t.number} {t.state.name}" for t in trials if not t.state.is_finished()]
        return problems

    def _made(self, directory: Path) -> dict[str, bytes]:
        """Return the files that must be the same, byte by byte."""
        agent = directory / "results/tiny/agent"
        return results(directory) | {f"agent/{path.name}": path.read_bytes() for path in agent.glob("[!m]*")}

    def start_and_kill(self) -> str:
        """Start Snakemake and kill, after a random time, all its processes, Snakemake alone, or one job."""
        target, seconds = self.random.choice(TARGETS), self.random.uniform(2, 25)
        how = self.random.choice(["everything", "snakemake", "a job", "a job"])
        with started(snakemake(self.directory / "disturbed", *target)) as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                jobs = processes(str(REPOSITORY / "scripts"), of=process.pid)
                if how == "everything":
                    os.killpg(process.pid, signal.SIGKILL)
                elif how == "snakemake":
                    process.kill()
                    # Its jobs live on for a while.
                    time.sleep(self.random.uniform(0, 4))
                elif jobs:
                    send(signal.SIGKILL, [self.random.choice(jobs)])
                    process.wait()
        return f"{target or 'all'}, {how} after {seconds:.0f} s, exit code {process.returncode}"

    def start_on_a_full_disk(self) -> str:
        """Run with a limit on the size of files: writing a larger one raises an error, as on a full disk."""
        limit, target = 2 ** self.random.randrange(9, 19), self.random.choice(TARGETS)
        command = ["prlimit", f"--fsize={limit}", *snakemake(self.directory / "disturbed", *target)]
        done = subprocess.run(command, capture_output=True, timeout=1200, check=False, start_new_session=True)
        return f"{target or 'all'}, at most {limit} bytes a file, exit code {done.returncode}"

    def start_two_at_once(self) -> str:
        """Start two runs at the same time and wait for both."""
        command = snakemake(self.directory / "disturbed")
        with started(command) as one, started(command) as other:
            codes = [one.wait(timeout=1200), other.wait(timeout=1200)]
        return f"exit codes {codes}"

    def change_settings(self) -> str:
        self.settings = self.random.choice(SETTINGS)
        self._write_config()
        return str(self.settings)

    def change_execution(self) -> str:
        self.execution = self.random.choice(EXECUTIONS)
        self._write_config()
        return str(self.execution)

    def lose_a_file(self) -> str:
        if path := self._any_of(DERIVED + BESIDE):
            path.unlink()
        return str(path)

    def damage_a_file(self) -> str:
        """Make a file empty, truncate it, or replace its content. timing.json is left out: damaged, it would have to be
        deleted."""
        path = self._any_of([*DERIVED, *CHECKPOINTS, *CHECKPOINTS, *KNOWN, *AGENTS, "trials/*/progress.json"])
        if path:
            content = path.read_bytes()
            how = self.random.choice([b"", content[: len(content) // 2], b"\xff\x00 no such content: [{"])
            path.write_bytes(how)
            return f"{path}: {how[:20]!r}"
        return "none"

    def lose_a_result(self) -> str:
        if path := self._any_of(["trials/*/result.json", *KNOWN]):
            path.unlink()
        return str(path)

    def make_a_file_older(self) -> str:
        """Change the version of torch in a file that records versions of packages."""
        path = self._any_of([*KNOWN, "trials/*/checkpoint/state", ".trainings/*.checkpoint/state"])
        if path:
            path.write_bytes(re.sub(rb'("torch": ?")[^"]+"', rb'\g<1>1.0"', path.read_bytes(), count=1))
        return str(path)

    def swap_two_files(self) -> str:
        """Exchange the files of two trainings."""
        kind = self.random.choice([KNOWN, ["trials/*/checkpoint", ".trainings/*.checkpoint"], [".trainings/*.agent"]])
        found = self._all_of(kind)
        if len(found) < 2:
            return "none"
        one, other = self.random.sample(found, 2)
        aside = one.with_name("aside")
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
        return f"{one}, {other}"

    def lose_the_database(self) -> str:
        found = [*self.study.glob("study.db*"), *self.study.glob("study.journal*")]
        for path in found:
            path.unlink()
        return str(found)

    def damage_the_database(self) -> str:
        if path := self._any_of(["study.db", "study.journal"]):
            content = path.read_bytes()
            path.write_bytes(
                content[: self.random.randrange(len(content) + 1)] + b"garbage" * self.random.choice([0, 9])
            )
        return str(path)

    def edit_the_database(self) -> str:
        """Delete or change rows of the database, or enqueue a trial as another program would."""
        database = self.study / "study.db"
        statements = [
            "DELETE FROM trial_params WHERE param_id = (SELECT max(param_id) FROM trial_params)",
            "DELETE FROM trial_system_attributes WHERE trial_id = (SELECT max(trial_id) FROM trials)",
            "DELETE FROM trials WHERE trial_id = (SELECT max(trial_id) FROM trials)",
            "DELETE FROM trials WHERE trial_id = 1",
            "DELETE FROM studies",
            "UPDATE trial_params SET param_value = param_value / 2 WHERE param_id = 1",
            "UPDATE trial_values SET value = 0",
            "DROP TABLE trial_values",
        ]
        statement = self.random.choice([*statements, "enqueue"])
        try:
            if statement == "enqueue" and database.exists():
                optuna.load_study(study_name="tiny", storage=f"sqlite:///{database}").enqueue_trial(
                    {"agent.gamma": 0.95}
                )
            elif database.exists():
                with closing(sqlite3.connect(database)) as file, file:
                    file.execute(statement)
        except (sqlite3.Error, KeyError, optuna.exceptions.StorageInternalError):
            return "a damaged one"
        return statement

    def lose_snakemakes_memory(self) -> str:
        shutil.rmtree(self.directory / "disturbed/.snakemake", ignore_errors=True)
        return ".snakemake"

    def date_in_the_future(self) -> str:
        if path := self._any_of([*DERIVED, "trials/*/result.json"]):
            os.utime(path, (time.time() + 10**7,) * 2)
        return str(path)

    def touch_a_file(self) -> str:
        if path := self._any_of([*DERIVED, "trials/*/result.json"]):
            path.touch()
        return str(path)

    def move_the_results(self) -> str:
        """Move the results to a directory in which Snakemake has never run."""
        old, new = self.directory / "disturbed", self.directory / "moved"
        if not (old / "results").exists():
            return "none"
        old.rename(new)
        old.mkdir()
        (new / "results").rename(old / "results")
        shutil.rmtree(new)
        self._write_config()
        return "results"

    def _any_of(self, patterns: list[str]) -> Path | None:
        found = [path for path in self._all_of(patterns) if path.is_file()]
        return self.random.choice(found) if found else None

    def _all_of(self, patterns: list[str]) -> list[Path]:
        bases = (self.study, self.study.parent)
        return sorted(path for base in bases for one in patterns for path in base.glob(one))

    def _write_config(self) -> None:
        self._config_in(self.directory / "disturbed", overrides(self.settings, self.execution | self.lengths))

    def _config_in(self, directory: Path, entry: list[str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"tiny": entry}}))

    def _reference(self) -> Path:
        """Return the directory of an undisturbed study with the present settings; make it first if necessary."""
        name = "-".join(str(value) for value in self.settings.values())
        directory = self.directory / f"reference-{name}"
        if not (directory / CARD).exists():
            self._config_in(directory, overrides(self.settings, EXECUTIONS[0] | self.lengths))
            done = run(snakemake(directory, "--cores", "1", BEST, CARD))
            assert done.returncode == 0, done.stdout + done.stderr
        return directory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25, help="each is a few disturbances and a check (default: 25)")
    parser.add_argument("--disturbances", type=int, default=4, help="disturbances per round (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the disturbances (default: 0)")
    parser.add_argument("--steps", type=int, default=600, help="per training (default: 600, some seconds)")
    parser.add_argument("--directory", type=Path, required=True, help="to work in; must not exist")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True)
    chaos = Chaos(arguments.directory.resolve(), arguments.seed, lambda line: print(line, flush=True), arguments.steps)
    bad = 0
    for number in range(arguments.rounds):
        for _ in range(arguments.disturbances):
            chaos.disturb()
        problems = chaos.check()
        bad += bool(problems)
        print(f"round {number}: {json.dumps(problems, indent=1) if problems else 'as if undisturbed'}", flush=True)
    print(f"{chaos.n_disturbances} disturbances, {arguments.rounds} rounds, {bad} of them bad")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
