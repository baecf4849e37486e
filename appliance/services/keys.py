"""Passwords: argon2id, and bcrypt of imported files; for a name nobody has it takes as long as for one that exists."""

import functools
import re
import secrets

import argon2
import bcrypt

_HASHER = argon2.PasswordHasher()
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")  # a cost above 14 takes seconds


def hash_password(password: str) -> str:
    """Return the argon2id hash that `scr.toml` keeps of a password; takes some 50 ms and 64 MiB."""
    return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is the one of the hash; False for None, a user that does not exist, after as long a time."""
    if password_hash is not None and is_bcrypt(password_hash):
        return _is_bcrypt_of(password_hash, password)
    try:
        _HASHER.verify(password_hash or _hash_of_nobody(), password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return password_hash is not None


def is_bcrypt(password_hash: str) -> bool:
    """Whether it is a hash that `htpasswd -B` makes; sign-in replaces it by an argon2id one."""
    return _BCRYPT.fullmatch(password_hash) is not None


def _is_bcrypt_of(password_hash: str, password: str) -> bool:
    """Compare as htpasswd does: its hashes see 72 bytes of a password, and none behind a zero byte."""
    try:
        return bcrypt.checkpw(password.encode().partition(b"\0")[0][:72], password_hash.encode())
    except ValueError:
        return False


@functools.cache
def _hash_of_nobody() -> str:
    """Return the hash of a password that nobody knows; made when it is first needed, the start is not slowed by it."""
    return hash_password(secrets.token_hex(16))
