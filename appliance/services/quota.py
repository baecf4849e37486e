"""Quotas: how many bytes and images a registry may hold.

They count what is the registry's own: each of its blobs once, whoever else has it too (else a push that costs nothing
would tell that somebody holds the blob), its manifests, what was deleted and is not yet collected, and uploads on their
way in. What is kept is checked in the transaction that keeps it, so two pushes at once cannot both have the last byte;
the earlier checks spare a client the way.
"""

from collections.abc import AsyncIterator

from appliance.blobstore.upload import Upload
from appliance.db import images, registries
from appliance.db.database import Reader, Transaction
from appliance.domain.registry import ImageRef, Registry, RegistryId
from appliance.domain.sizes import size_text
from appliance.errors import QuotaExceeded
from appliance.services.stock import Stock

_STEP = 1 << 20  # bytes that come in between two looks


async def check_start(stock: Stock, registry: RegistryId, size: int) -> None:
    """Raise QuotaExceeded where `size` more bytes (0: nobody knows yet) have no room."""
    found = registries.get(stock.db.reader, registry)
    if found is None or found.settings.quota_bytes is None:
        return
    staged = await stock.uploads.staged(registry)
    used = kept_bytes(stock.db.reader, registry) + staged
    if used + max(size, 1) > found.settings.quota_bytes:
        raise _exceeded(found, used, size, staged)


async def watch(stock: Stock, upload: Upload, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `pieces` as long as the registry has room for them. Raises QuotaExceeded.

    Without a quota it costs a look-up a request.
    """
    registry = RegistryId(upload.session.registry)
    unchecked = _STEP
    async for piece in pieces:
        if unchecked >= _STEP:
            await check_start(stock, registry, len(piece))
            unchecked = 0
        unchecked += len(piece)
        yield piece


def kept_bytes(reader: Reader, registry: RegistryId) -> int:
    """Return what the registry holds: its blobs, each once, and its manifests."""
    usage = registries.usage_of(reader, registry)
    return usage.blob_bytes + usage.manifest_bytes


def check_kept(tx: Transaction, registry: RegistryId, before: int) -> None:
    """Raise QuotaExceeded where the transaction took the registry, which held `before` bytes, beyond its quota.

    What does not grow passes, also in a registry whose quota was lowered.
    """
    now = kept_bytes(tx, registry)
    if now <= before:
        return
    found = registries.get(tx, registry)
    if found is not None and found.settings.quota_bytes is not None and now > found.settings.quota_bytes:
        raise _exceeded(found, before, now - before, 0)


def check_images(tx: Transaction, registry: RegistryId) -> None:
    """Raise QuotaExceeded where the registry shows more images than it may: one of them was made just now."""
    _check_count(tx, registry, another=0)


def check_new_image(reader: Reader, image: ImageRef) -> None:
    """Raise QuotaExceeded where a push to `image` would make one image more than the registry may hold."""
    if images.find_shown(reader, image) is None:
        _check_count(reader, image.registry, another=1)


def _check_count(reader: Reader, registry: RegistryId, *, another: int) -> None:
    found = registries.get(reader, registry)
    if found is None or found.settings.quota_images is None:
        return
    count = registries.count_images(reader, registry) + another
    if count > found.settings.quota_images:
        raise QuotaExceeded(
            f"registry {found.name} has {count - 1} images, and its quota is {found.settings.quota_images};"
            " delete images, or ask the administrator for a larger quota"
        )


def _exceeded(registry: Registry, used: int, more: int, staged: int) -> QuotaExceeded:
    quota = size_text(registry.settings.quota_bytes)
    wanted = f", and this needs {size_text(more)} more" if more else ""
    waiting = f" ({size_text(staged)} of it in uploads)" if staged else ""
    return QuotaExceeded(
        f"registry {registry.name} uses {size_text(used)}{waiting} of its quota of {quota}{wanted}; delete images"
        " with --purge, or ask the administrator for a larger quota"
    )
