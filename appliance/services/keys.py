"""Passwords: argon2id, each verification as slow for a name nobody has as for one that exists."""

import functools
import secrets

import argon2

_HASHER = argon2.PasswordHasher()


def hash_password(password: str) -> str:
    """Return the argon2id hash that `scr.toml` keeps of a password; takes some 50 ms and 64 MiB."""
    return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is the one of the hash; False for None, a user that does not exist, after as long a time."""
    try:
        _HASHER.verify(password_hash or _hash_of_nobody(), password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return password_hash is not None


@functools.cache
def _hash_of_nobody() -> str:
    """Return the hash of a password that nobody knows; made when it is first needed, the start is not slowed by it."""
    return hash_password(secrets.token_hex(16))
