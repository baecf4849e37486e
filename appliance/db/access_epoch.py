"""The epoch of access: grows with every change of what decisions rest on, in the transaction of the change."""

from appliance.db.database import Reader, Transaction


def find(reader: Reader) -> int:
    """Return the epoch of the last commit."""
    row = reader.one("SELECT value FROM access_epoch")
    return int(row[0]) if row else 0


def bump(tx: Transaction) -> None:
    """End every decision made so far: what is remembered of an earlier epoch counts no more."""
    tx.execute("UPDATE access_epoch SET value = value + 1")
