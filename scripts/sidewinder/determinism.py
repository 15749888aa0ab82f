"""What makes a training run repeat bit by bit: derived seeds, one thread, one instruction set. It never trains."""

import hashlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import yaml

from sidewinder.errors import SidewinderError

LEVELS = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
    # MKL promises its AVX2 results on Intel only; COMPATIBLE is the branch that every x86-64 shares.
    "compatible": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
    "native": {},
}
_PINNED = frozenset().union(*LEVELS.values())
_XLA_LEVELS = {"avx2": "--xla_cpu_max_isa=AVX2", "compatible": "--xla_cpu_max_isa=SSE4_2", "native": ""}
# Whatever JAX compiles is kept for other processes, however small.
_JAX = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # Of a GPU, JAX would take three quarters for the first training on it.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
# What this process is pinned to, once it is.
_pinned_to: tuple[str, int] | None = None
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def pin(instruction_set: str, threads: int, device: str = "cpu") -> None:
    """Fix the CPU kernels and threads of numpy, scipy, torch and JAX for this process and its children.

    Doing it again is no harm, as in the jobs of a multirun, which are one process.

    Args:
        instruction_set: `avx2` (default of the shipped configs), `compatible` (the same bits on every x86-64, about
            half as fast for wide networks) or `native` (whatever is fastest here; other machines may differ in bits).
        threads: Threads of a training run; PPO and A2C give other bits for other numbers.
        device: As `training.device`; JAX sees no other kind.

    Raises:
        KeyError: No such instruction set.
        SidewinderError: This process is pinned to something else.
        RuntimeError: numpy or torch is loaded already, and so past listening.
    """
    global _pinned_to
    if _pinned_to == (instruction_set, threads):
        return
    loaded = {"numpy", "torch"} & sys.modules.keys()
    if loaded and _pinned_to:
        raise SidewinderError(
            f"training.instruction_set, training.threads: found {instruction_set}, {threads} after {_pinned_to[0]}, "
            f"{_pinned_to[1]} in one process, accepted: the same in all jobs of a multirun; or a run for each"
        )
    if loaded:
        raise RuntimeError(f"pin() must run before {' and '.join(sorted(loaded))} is imported")
    for name in _PINNED:
        os.environ.pop(name, None)
    os.environ.update(LEVELS[instruction_set])
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    pin_jax(instruction_set, device)
    _pinned_to = instruction_set, threads


def is_pinned(instruction_set: str, threads: int) -> bool:
    """Whether this process is pinned to these."""
    return _pinned_to == (instruction_set, threads)


def pin_jax(instruction_set: str, device: str = "cpu") -> None:
    """The part of `pin` that JAX reads, when it first computes: also for a process that has numpy already."""
    # A training has one core; for networks as small as these, JAX's threads cost more than they give.
    flags = ["--xla_cpu_multi_thread_eigen=false", _XLA_LEVELS.get(instruction_set, "")]
    platforms = ["cpu"]
    if device != "cpu":
        flags.append("--xla_gpu_deterministic_ops=true")
        platforms.insert(0, device.split(":")[0])
    os.environ.update(_JAX | {"XLA_FLAGS": " ".join(filter(None, flags)), "JAX_PLATFORMS": ",".join(platforms)})


def share_compiled(results: Path) -> None:
    """Let all processes of all studies in `results` share what JAX compiles, unless the environment says where."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(results.absolute() / ".compiled"))


def pin_as_configured(config_path: Path) -> None:
    """`pin` as the `training` section of a config.yaml says, which must be read before anything loads numpy.

    A file that is missing or malformed pins the defaults; whoever loads it next says what is wrong.
    """
    share_compiled(config_path.absolute().parents[1])
    try:
        training = yaml.safe_load(config_path.read_text())["training"]
        pin(training["instruction_set"], training["threads"], str(training["device"]))
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        pin("avx2", 1)


def processor() -> str:
    """The model of this machine's processor, as its maker names it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def derive_seed(study_seed: int, purpose: str, *indices: int) -> int:
    """A 32-bit seed that depends on nothing but its arguments, and differs for each of them."""
    text = "/".join([str(study_seed), purpose, *map(str, indices)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
