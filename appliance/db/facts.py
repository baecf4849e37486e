"""Single facts about the appliance: its id, when it was last seen running."""

from appliance.db.database import Reader, Transaction


def find(reader: Reader, name: str) -> str | None:
    """Return the fact `name`, or None."""
    row = reader.one("SELECT value FROM facts WHERE name = ?", (name,))
    return row[0] if row else None


def put(tx: Transaction, name: str, value: str) -> None:
    """Write the fact `name`."""
    tx.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
