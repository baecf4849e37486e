"""Errors of the program as answers of the distribution API: the one table of statuses and codes."""

from collections.abc import Iterable

import msgspec

from appliance import errors
from appliance.errors import ScrError

# the leaf nearest to the error's own class wins; codes: distribution-spec 1.1.1, "Error Codes"
ANSWERS: dict[type[ScrError], tuple[int, str]] = {
    ScrError: (500, "UNKNOWN"),
    errors.Unknown: (404, "NAME_UNKNOWN"),
    errors.RegistryUnknown: (404, "NAME_UNKNOWN"),
    errors.NameUnknown: (404, "NAME_UNKNOWN"),
    errors.EntryUnknown: (404, "NAME_UNKNOWN"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.RefusalUnknown: (404, "NAME_UNKNOWN"),
    errors.JobUnknown: (404, "NAME_UNKNOWN"),
    errors.ScanUnknown: (404, "NAME_UNKNOWN"),
    errors.FeedUnknown: (404, "NAME_UNKNOWN"),
    errors.PageUnknown: (404, "NAME_UNKNOWN"),
    errors.AccountUnknown: (404, "NAME_UNKNOWN"),
    errors.Invalid: (400, "UNSUPPORTED"),
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.RepositoryUnnamed: (403, "DENIED"),  # docker pushes again and again after a 400
    errors.TagInvalid: (400, "TAG_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestBlobUnknown: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.UploadInvalid: (400, "BLOB_UPLOAD_INVALID"),
    errors.QueryInvalid: (400, "PAGINATION_NUMBER_INVALID"),
    errors.PolicyInvalid: (400, "UNSUPPORTED"),
    errors.AccountInvalid: (400, "UNSUPPORTED"),
    errors.ConfigInvalid: (500, "UNKNOWN"),
    errors.ImagePolicyInvalid: (400, "UNSUPPORTED"),
    errors.AllowlistInvalid: (400, "UNSUPPORTED"),
    errors.LayoutInvalid: (400, "MANIFEST_INVALID"),
    errors.FeedInvalid: (400, "UNSUPPORTED"),
    errors.VexInvalid: (400, "UNSUPPORTED"),
    errors.TooLarge: (413, "SIZE_INVALID"),
    errors.OutOfRange: (416, "BLOB_UPLOAD_INVALID"),
    errors.Unauthorized: (401, "UNAUTHORIZED"),
    errors.TokenInvalid: (401, "UNAUTHORIZED"),
    errors.ScopeShort: (401, "UNAUTHORIZED"),
    errors.Denied: (403, "DENIED"),
    errors.AccessDenied: (403, "DENIED"),
    errors.PullDenied: (403, "DENIED"),
    errors.TagLocked: (403, "DENIED"),
    errors.Removed: (403, "DENIED"),
    errors.RepositoryAbsent: (403, "DENIED"),
    errors.QuotaExceeded: (403, "DENIED"),
    errors.Misdirected: (421, "NAME_UNKNOWN"),
    errors.Unsupported: (405, "UNSUPPORTED"),
    errors.BlobNeeded: (405, "UNSUPPORTED"),
    errors.Conflict: (409, "BLOB_UPLOAD_INVALID"),
    errors.Stale: (412, "UNSUPPORTED"),
    errors.AccountExists: (409, "DENIED"),
    errors.AccountManaged: (409, "DENIED"),
    errors.AccountInUse: (409, "DENIED"),
    errors.Managed: (409, "DENIED"),
    errors.ShutsOut: (409, "DENIED"),
    errors.UploadBusy: (409, "BLOB_UPLOAD_INVALID"),
    errors.FolderBusy: (500, "UNKNOWN"),
    errors.Unavailable: (503, "UNAVAILABLE"),
    errors.TooManyRequests: (429, "TOOMANYREQUESTS"),
    errors.StorageFull: (507, "UNAVAILABLE"),
    errors.Creating: (503, "UNAVAILABLE"),
    errors.StoreFailed: (503, "UNAVAILABLE"),
    errors.StoreDown: (503, "UNAVAILABLE"),
    errors.StoreRefused: (503, "UNAVAILABLE"),
    errors.BlobBroken: (404, "BLOB_UNKNOWN"),
    errors.Stopping: (503, "UNAVAILABLE"),
}


class _Problem(msgspec.Struct):
    code: str
    message: str
    detail: dict[str, tuple[str, ...]] | None = None


class _Problems(msgspec.Struct):
    errors: list[_Problem]


def answer_to(error: ScrError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and the JSON body for `error`."""
    status, code = ANSWERS[type(error)]
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, errors.OutOfRange):
        if error.location:  # a client that lost count recovers from these two
            headers += [(b"range", b"0-%d" % max(error.size - 1, 0)), (b"location", error.location.encode())]
        else:
            headers.append((b"content-range", b"bytes */%d" % error.size))
    if status in (429, 503, 507):
        headers.append((b"retry-after", b"10"))
    detail = None
    if isinstance(error, errors.PullDenied) and error.vulnerabilities:
        detail = {"vulnerabilities": error.vulnerabilities}
    return status, headers, body_of(code, error.message + error.why, detail)


def body_of(code: str, message: str, detail: dict[str, tuple[str, ...]] | None = None) -> bytes:
    """Return the JSON body of one error. Spec: distribution-spec 1.1.1, "Error Codes"."""
    return msgspec.json.encode(_Problems([_Problem(code, message, detail)]))


def warnings_of(texts: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Return `Warning` headers, which newer clients show; 4096 bytes at most in all. Spec: "Warnings"."""
    found = []
    left = 4096
    for text in texts:
        safe = "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "'" for letter in text)
        value = f'299 - "{safe}"'.encode()
        left -= len(value)
        if left < 0:
            break
        found.append((b"warning", value))
    return found
