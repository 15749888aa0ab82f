"""Measures the environment steps a second of each algorithm with each backend, and the time to ask for a trial.

python benchmarks/speed.py
Algorithms have their default settings, with their default networks and with small ones. One thread, one environment.
Evaluations are not counted, and SBX is compiled beforehand.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from sidewinder.determinism import pin, share_compiled

ALGORITHMS = ("ddpg", "td3", "sac", "tqc", "crossq", "dqn", "ppo")
BACKENDS = ("sb3", "sbx")
SAMPLERS = ("random", "qmc", "tpe", "cmaes", "nsgaii", "gp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--past", type=int, default=100, help="finished trials in the study that is asked")
    arguments = parser.parse_args()
    pin("avx2", 1)
    print("| algorithm | networks | SB3 | SBX | times as fast |\n|---|---|---|---|---|")
    with TemporaryDirectory() as compiled:
        share_compiled(Path(compiled))
        for algorithm in ALGORITHMS:
            for net_arch, steps in ((None, arguments.steps), ("s", 4 * arguments.steps)):
                sb3, sbx = (steps_per_second(algorithm, backend, net_arch, steps) for backend in BACKENDS)
                networks = "[64, 64]" if net_arch else "default"
                print(f"| {algorithm} | {networks} | {sb3:.0f} | {sbx:.0f} | {sbx / sb3:.1f} |", flush=True)
    print(f"\n| sampler | ask, ms, after {arguments.past} trials |\n|---|---|")
    for sampler in SAMPLERS:
        print(f"| {sampler} | {1000 * ask_latency(sampler, arguments.past):.0f} |", flush=True)


def steps_per_second(algorithm: str, backend: str, net_arch: str | None, steps: int) -> float:
    from sidewinder.config.composition import compose_study
    from sidewinder.training.run import train

    environment = "cartpole" if algorithm == "dqn" else "pendulum"
    overrides = [f"agent={algorithm}", f"environment={environment}", f"agent.backend={backend}"]
    overrides += [f"training.total_timesteps={steps}", f"evaluation.eval_freq={steps}"]
    run = compose_study("speed", ["study=plain", *overrides]).for_baseline("defaults")
    run.agent["policy_kwargs"]["net_arch"] = net_arch
    if backend == "sbx":
        # A first training, which compiles everything.
        train(run.model_copy(update={"training": run.training.model_copy(update={"total_timesteps": 300})}))
    return train(run).steps_per_second


def ask_latency(sampler: str, past: int) -> float:
    """Return the seconds to ask for a trial after `past` trials; the mean of five."""
    from sidewinder.config.composition import compose_study
    from sidewinder.results import Result, as_json, result_path
    from sidewinder.study.study import Study

    config = compose_study("asked", ["study=plain", "agent=ddpg", "environment=pendulum", f"sampler={sampler}"])
    with TemporaryDirectory() as directory:
        study, taken = Study(Path(directory), config), []
        for number in range(past + 5):
            started = time.monotonic()
            trial = study.ask(number)
            taken.append(time.monotonic() - started)
            result = Result(
                number=number,
                config=config.digest(),
                state="complete",
                objective=-sum(value**2 for value in trial.params.values() if isinstance(value, float)),
                reason=None,
                params=trial.params,
                distributions=as_json(trial.distributions),
                evaluations=[],
                pruner_attrs={},
                seeds={},
                bit_exact=True,
                packages={},
            )
            result.save(result_path(study.directory, number))
            study.tell(result)
    return sum(taken[-5:]) / 5


if __name__ == "__main__":
    main()
