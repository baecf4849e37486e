"""Every error the program raises on purpose, as one tree.

Families decide the HTTP status, leaves the OCI error code; each door maps the tree once
(`http/v2/problems.py`, `http/api/problem.py`). A message is one sentence: what happened, to what, what to do.
"""

import re


class ScrError(Exception):
    """Base of all errors with a message meant for a person. `why` is what a client is told behind it (refusals)."""

    why = ""

    def __init__(self, message: str) -> None:
        """Keep `message`, which a client may be shown."""
        super().__init__(message)
        self.message = message


def kind_of(error: ScrError) -> str:
    """Return the stable name of the kind of `error`: `tag-locked` for TagLocked."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()


class Unknown(ScrError):
    """The thing asked for does not exist, or the asker may not know that it does."""


class RegistryUnknown(Unknown):
    """No registry of that name or id."""


class NameUnknown(Unknown):
    """No repository or image of that name."""


class EntryUnknown(Unknown):
    """An allowlist has no such line."""


class ManifestUnknown(Unknown):
    """The image has no such tag or manifest."""


class BlobUnknown(Unknown):
    """The image has no such blob."""


class UploadUnknown(Unknown):
    """No upload session of that id for this image and principal."""


class RefusalUnknown(Unknown):
    """No refusal of that id, or none that the asker may know of."""


class JobUnknown(Unknown):
    """No job of that id: none was, or it ended so long ago that it was forgotten."""


class FeedUnknown(Unknown):
    """No source of vulnerability data of that name."""


class ScanUnknown(Unknown):
    """The manifest was never scanned, or its result is not there any more."""


class PageUnknown(Unknown):
    """No such path or route."""


class AccountUnknown(Unknown):
    """No user, group, role, access policy or access key of that name or id."""


class Invalid(ScrError):
    """What the client or the operator wrote cannot be used as it stands."""


class NameInvalid(Invalid):
    """Not a name by the grammar of its kind."""


class RepositoryUnnamed(NameInvalid):
    """A name of one component where `scr_strict` wants a repository before it."""


class TagInvalid(Invalid):
    """Not a tag by the grammar of the specification."""


class DigestInvalid(Invalid):
    """Not a digest, or not the digest of the bytes that came."""


class ManifestInvalid(Invalid):
    """Not a manifest this registry can keep."""


class ManifestBlobUnknown(Invalid):
    """A manifest names content that was not pushed before it."""


class SizeInvalid(Invalid):
    """The bytes that came are more or fewer than announced."""


class UploadInvalid(Invalid):
    """An upload request contradicts itself or the state of its session."""


class QueryInvalid(Invalid):
    """A query parameter or request field is wrong."""


class PolicyInvalid(Invalid):
    """Not an access policy: a statement that could never count, or one that means something else than it says."""


class AccountInvalid(Invalid):
    """A user, group, role or access key cannot be made or changed so."""


class ConfigInvalid(Invalid):
    """`scr.toml`, an environment override or a command-line option is wrong."""


class ImagePolicyInvalid(Invalid):
    """A value of an image policy is out of its range, or a pattern is none."""


class AllowlistInvalid(Invalid):
    """A text that may not be an allowlist: the message names the lines."""


class LayoutInvalid(Invalid):
    """A carried-in folder or archive is no OCI image layout, or its bytes are not what it says."""


class FeedInvalid(Invalid):
    """Vulnerability data that cannot be imported: not the form it claims, a version unknown here, or broken."""


class VexInvalid(Invalid):
    """What should be an OpenVEX document is none, or says more than is read."""


class TooLarge(Invalid):
    """More bytes than the limit allows."""


class OutOfRange(ScrError):
    """A byte range cannot be served, or a chunk does not continue its upload.

    `size` is the size of the content (reading) or the offset of the session (writing), in bytes.
    `location` is where an upload goes on, empty for reads.
    """

    def __init__(self, message: str, size: int, location: str = "") -> None:
        """Keep where the content ends, so that the client can recover."""
        super().__init__(message)
        self.size = size
        self.location = location


class Unauthorized(ScrError):
    """Credentials are missing or wrong. `claimed` is who they said to be, where there is such a one; for records."""

    claimed = ""


class TokenInvalid(Unauthorized):
    """Not a token of this registry, or one that counts no more."""


class ScopeShort(Unauthorized):
    """The policies allow it, and the token was not asked for it."""


class Denied(ScrError):
    """A rule forbids it; the message names the rule and the remedy."""


class AccessDenied(Denied):
    """The access policies of the principal do not allow the action."""


class PullDenied(Denied):
    """A pull limit of the image refuses it; `vulnerabilities` are the first of those it refuses it for."""

    def __init__(self, message: str, vulnerabilities: tuple[str, ...] = ()) -> None:
        """Keep both."""
        super().__init__(message)
        self.vulnerabilities = vulnerabilities


class TagLocked(Denied):
    """A lock holds the tag, its image or its repository."""


class Removed(Denied):
    """The resource is being deleted and takes no change."""


class RepositoryAbsent(Denied):
    """A push to a repository that is not there, where pushes make none (a 404 would be tried again by clients)."""


class QuotaExceeded(Denied):
    """A quota of the registry is used up."""


class Misdirected(ScrError):
    """The Host names no registry of this appliance."""


class Unsupported(ScrError):
    """The operation exists, but not for this thing."""


class BlobNeeded(Unsupported):
    """A live manifest of the image needs the blob."""


class Conflict(ScrError):
    """The state of the resource does not allow it now."""


class Stale(Conflict):
    """Somebody else changed the resource since the client read it (If-Match)."""


class AccountExists(Conflict):
    """There is a user, group, role, access policy or access key of that name already."""


class AccountManaged(Conflict):
    """`scr.toml` declares it, or the program itself: it is not changed here."""


class AccountInUse(Conflict):
    """An access policy is attached to somebody, so that its deletion would change what they may do."""


class Managed(Conflict):
    """The resource is declared in `scr.toml` and changed there only."""


class ShutsOut(Conflict):
    """A change that the caller could not come back from: its own address would be refused, or itself."""


class UploadBusy(Conflict):
    """Another request is writing to the upload session."""


class FolderBusy(Conflict):
    """Another process serves the data folder."""


class Unavailable(ScrError):
    """It would work later: the store or the program cannot do it now."""


class TooManyRequests(Unavailable):
    """One source asks more than can be looked at."""


class StorageFull(Unavailable):
    """No room for new bytes."""


class Creating(Unavailable):
    """The registry is being made and serves in a moment."""


class StoreFailed(Unavailable):
    """The store answered with an error, or its bytes are not what was written."""


class StoreDown(StoreFailed):
    """The object store cannot be reached, or does not do what it is asked; what waits for it is kept."""


class StoreRefused(StoreDown):
    """The object store answered, and asking again will not change its mind: no rights, no such bucket."""


class BlobBroken(StoreFailed):
    """A chunk of a blob is not what was sealed; the blob is quarantined."""


class Stopping(Unavailable):
    """The program is shutting down."""
