"""Lists and look-ups of images, tags and manifests go by index, whatever else there is in the database."""

import re

import pytest

from appliance.db import (
    deletions,
    image_lists,
    images,
    manifest_lists,
    purges,
    referrer_tree,
    registries,
    repositories,
    retention_facts,
    tags,
)
from appliance.db.database import Database, Value, Values

_PLACE: dict[str, Value] = {"text": "", "at": 0, "id": 0, "last": "", "limit": 100, "contains": ""}
_IMAGES: dict[str, Value] = {"registry": 1, "first": "", "end": "~", "key": "", "value": None, **_PLACE}
_TAGS: dict[str, Value] = {"image": 1, "name": "", "key": "", **_PLACE}
_MANIFESTS: dict[str, Value] = {"image": 1, "tagged": None, "name": "", "key": "", **_PLACE}
_TREE: dict[str, Value] = {"image": 1, "digest": b"", "first": "", "end": "", "limit": 100}
_PURGED: dict[str, Value] = {"rows": "[]", "needs": "[]", "links": "[]", "now": 1, "at": 1}
QUERIES: list[tuple[str, str, Values]] = [
    *((f"images by {order}", sql, _IMAGES) for order, sql in image_lists.PAGES.items()),
    *((f"tags by {order}", sql, _TAGS) for order, sql in tags.PAGES.items()),
    *((f"manifests by {order}", sql, _MANIFESTS) for order, sql in manifest_lists.PAGES.items()),
    ("deletions", deletions.LIST, {"of": 1, "last": 1, "limit": 100}),
    ("deletions within a repository", deletions.LIST_WITHIN, {"of": 1, "path": "", "last": 1, "limit": 100}),
    ("deletions of a path", deletions.LIST_OF_PATH, {"of": 1, "path": "", "last": 1, "limit": 100}),
    ("referrers by subject", referrer_tree.BY_SUBJECT, _TREE),
    ("referrers by tag", referrer_tree.BY_TAG, _TREE),
    ("locks of a repository", repositories.LOCK, {"id": 1}),
    ("locks of a registry", registries.LOCK, {"id": 1}),
    ("images due for tag deletion", retention_facts.DUE, (1, 100)),
    ("locked tags above a manifest", tags.LOCKED_ABOVE, {"image": 1, "manifest": 1}),
    ("manifests of one image", retention_facts.MANIFESTS, (1,)),
    ("tags of one image", retention_facts.TAGS, (1,)),
    ("children in one image", retention_facts.CHILDREN, (1,)),
    *((f"purging of manifests, {number}", sql, _PURGED) for number, sql in enumerate(purges.MANIFESTS)),
    *((f"settling of links, {number}", sql, _PURGED) for number, sql in enumerate(purges.LINKS)),
    ("postponing of links", purges.POSTPONE, _PURGED),
    ("removed images", images.REMOVED, (1, 0, 0, 100)),
]
SLOW = re.compile(r"SCAN (?!above|json_each)|USE TEMP B-TREE|AUTOMATIC")  # what a query has found itself, or was given


@pytest.mark.parametrize(("name", "sql", "values"), QUERIES, ids=[query[0] for query in QUERIES])
def test_it_goes_by_index(database: Database, name: str, sql: str, values: Values) -> None:
    plan = [row[3] for row in database.reader.rows(f"EXPLAIN QUERY PLAN {sql}", values)]

    assert plan
    assert [step for step in plan if SLOW.search(step)] == [], f"{name}: {plan}"
