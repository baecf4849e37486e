"""Damage to what lies on the disk of a server."""

from pathlib import Path


def break_blob(data: Path, digest: str, at: int) -> None:
    """Turn one bit of the byte `at` of the blob in the folder store of a server's data folder."""
    [path] = [one for one in (data / "blobs").rglob(f"{digest.partition(':')[2]}*") if one.is_file()]
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
