"""Short hashes of configs, which identify studies and trainings."""

import hashlib


def digest(content: object) -> str:
    """Hash of an object's `repr`, 16 hexadecimal digits."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
