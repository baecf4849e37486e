"""The generated database is what pushes would have left: sound, counted, and answered for."""

import sqlite3
from pathlib import Path

from tests.bench.registries import Scr
from tests.bench.scale import measure, show
from tests.bench.scale_data import Size, fill

TINY = Size(12, manifests=10, tags=15, big_tags=130, big_referrers=12, condemned=2)


def test_every_question_is_answered_and_told(tmp_path: Path) -> None:
    said: list[str] = []

    figures = measure(tmp_path, TINY, 2, said.append)
    show([figures, figures], said.append)

    assert len(figures.medians) == 12
    assert figures.collected.startswith("20 manifests, 14 blobs")
    assert any("bytes a tag" in line for line in said)


def test_it_is_sound_and_its_counts_are_those_of_its_rows(tmp_path: Path) -> None:
    server = Scr(tmp_path)
    server.start()
    server.stop()

    fill(server.data, TINY)

    database = sqlite3.connect(server.data / "scr.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    counted = database.execute("SELECT apparent_bytes, manifest_bytes FROM registry_usage").fetchone()
    assert (
        counted
        == database.execute(
            "SELECT (SELECT sum(b.size) FROM links l JOIN blobs b ON b.id = l.blob_id),"
            " (SELECT sum(length(body)) FROM manifests)"
        ).fetchone()
    )
    assert database.execute("SELECT count(*) FROM tags").fetchone() == (12 * 15 + 130 + 1 + 2,)
    database.close()
