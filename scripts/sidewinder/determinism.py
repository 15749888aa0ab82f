"""Makes training runs repeat bit by bit: derived seeds, fixed threads, one instruction set. It never trains."""

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
# JAX keeps everything that it compiles for other processes, however small.
_JAX = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # Otherwise, JAX reserves three quarters of a GPU's memory for the first training on it.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
# Instruction set and threads that this process is pinned to; None before `pin`.
_pinned_to: tuple[str, int] | None = None
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def pin(instruction_set: str, threads: int, device: str = "cpu") -> None:
    """Fix the CPU kernels and threads of numpy, scipy, torch and JAX for this process and its children.

    It may be called again with the same arguments: the jobs of a Hydra multirun share one process.

    Args:
        instruction_set: `avx2` (default of the shipped configs), `compatible` (the same bits on every x86-64, about
            half as fast for wide networks) or `native` (whatever is fastest here; other machines may differ in bits).
        threads: Threads of a training run. With PPO and A2C, another number gives other bits.
        device: `training.device`. JAX sees the CPU and this kind of device only.

    Raises:
        KeyError: There is no such instruction set.
        SidewinderError: This process is already pinned to other values, and numpy or torch is loaded.
        RuntimeError: numpy or torch was loaded before `pin`, so the settings would have no effect on it.
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
    """Whether this process is pinned to this instruction set and this number of threads."""
    return _pinned_to == (instruction_set, threads)


def pin_jax(instruction_set: str, device: str = "cpu") -> None:
    """Set what JAX reads when it first computes. This part of `pin` also works after numpy is loaded."""
    # A training has one core; for networks as small as these, JAX's threads cost more than they give.
    flags = ["--xla_cpu_multi_thread_eigen=false", _XLA_LEVELS.get(instruction_set, "")]
    platforms = ["cpu"]
    if device != "cpu":
        flags.append("--xla_gpu_deterministic_ops=true")
        platforms.insert(0, device.split(":")[0])
    os.environ.update(_JAX | {"XLA_FLAGS": " ".join(filter(None, flags)), "JAX_PLATFORMS": ",".join(platforms)})


def share_compiled(results: Path) -> None:
    """Let all studies in `results` share what JAX compiles. A JAX_COMPILATION_CACHE_DIR that is set stays as it is."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(results.absolute() / ".compiled"))


def pin_as_configured(config_path: Path) -> None:
    """Call `pin` with the `training` section of a config.yaml. It must be called before anything loads numpy.

    If the file is missing or malformed, `avx2` and one thread are pinned; the code that loads it next reports why.
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
    """Derive a 32-bit seed from its arguments only, by a hash: other arguments give another seed."""
    text = "/".join([str(study_seed), purpose, *map(str, indices)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
