"""What the workflow costs around training: a sweep on one core and on two, beside the same trials in a plain loop, and
beside Optuna's own `study.optimize(n_jobs=2)`. One after the other in one run.

python benchmarks/sweeps.py --trials 8 --backend sb3
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--backend", default="sb3")
    parser.add_argument("--trials-per-job", type=int, default=1)
    parser.add_argument("--only", choices=["loop", "optimize"], help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        return {"loop": loop, "optimize": optimize}[arguments.only](arguments.config)
    overrides = ["study=pendulum_ddpg", f"agent.backend={arguments.backend}", f"study.n_trials={arguments.trials}"]
    overrides.append(f"study.trials_per_job={arguments.trials_per_job}")
    with TemporaryDirectory() as base:
        times = {}
        for cores in (1, 2):
            directory = Path(base) / f"{cores}"
            directory.mkdir()
            (directory / "config.yaml").write_text(yaml.safe_dump({"studies": {"sweep": overrides}}))
            snakemake = ["-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile"), "--quiet", "all"]
            snakemake += ["--directory", str(directory), "--configfile", str(directory / "config.yaml")]
            target = f"results/sweep/{'trials.csv'}"
            times[f"workflow, {cores} core{'s' * (cores - 1)}"] = timed(*snakemake, "--cores", f"{cores}", target)
        config = Path(base) / "1/results/sweep/config.yaml"
        own = [__file__, "--config", str(config), "--only"]
        times["the same trials in a loop"] = timed(*own, "loop")
        times["study.optimize(n_jobs=2)"] = timed(*own, "optimize")
    print(f"\n{arguments.trials} trials, {arguments.backend}, trials_per_job {arguments.trials_per_job}\n")
    print("| | wall time | to the loop |\n|---|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.0f} s | {seconds / times['the same trials in a loop']:.2f} |")
    return None


def timed(*arguments: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def loop(path: Path) -> None:
    """Train what the sweep's trials trained, one after the other."""
    from sidewinder.determinism import pin_as_configured

    pin_as_configured(path)
    from sidewinder.config import StudyConfig
    from sidewinder.replicates import seeded
    from sidewinder.results import Result, result_path
    from sidewinder.training import train

    config = StudyConfig.load(path)
    for number in range(config.study.n_trials):
        result = Result.load(result_path(path.parent, number))
        outcome = train(seeded(config, config.for_trial(result.params), number, 0), tensorboard_log=path.parent / "tb")
        assert outcome.evaluations == result.evaluations


def optimize(path: Path) -> None:
    """What one would write with Optuna alone: two threads."""
    from sidewinder.determinism import pin_as_configured

    pin_as_configured(path)
    import optuna

    from sidewinder.config import StudyConfig
    from sidewinder.replicates import seeded
    from sidewinder.training import train

    config = StudyConfig.load(path)
    distributions = config.space().distributions

    def objective(trial: optuna.Trial) -> float:
        params = {name: trial._suggest(name, distribution) for name, distribution in distributions.items()}
        log = path.parent / f"optimize/{trial.number}"
        outcome = train(seeded(config, config.for_trial(params), trial.number, 0), tensorboard_log=log)
        return outcome.objective("best") or -1e9

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=config.study.n_trials, n_jobs=2)


if __name__ == "__main__":
    main()
