"""Short hashes of configs: what tells one study, or one training, from another."""

import hashlib


def digest(content: object) -> str:
    """A hash of what an object's `repr` says, 16 hexadecimal digits."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
