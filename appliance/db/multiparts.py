"""Uploads in parts that an object store holds for us and that no list of objects shows."""

from appliance.db.database import Reader, Transaction
from appliance.domain.moment import Timestamp


def begin(tx: Transaction, key: str, upload: str, now: Timestamp) -> None:
    """Write an upload down."""
    tx.execute("INSERT OR REPLACE INTO multipart_uploads (upload, key, begun_at) VALUES (?, ?, ?)", (upload, key, now))


def end(tx: Transaction, upload: str) -> None:
    """Take an upload out."""
    tx.execute("DELETE FROM multipart_uploads WHERE upload = ?", (upload,))


def list_all(reader: Reader) -> list[tuple[str, str]]:
    """Return keys and uploads of all that are written down."""
    return [(row[0], row[1]) for row in reader.rows("SELECT key, upload FROM multipart_uploads ORDER BY begun_at")]
