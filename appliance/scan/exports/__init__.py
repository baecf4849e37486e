"""What a scan found, in the forms that other programs read: one form a file, each a pure function to bytes."""

from collections.abc import Callable

import msgspec

from appliance.scan.exports import csv_rows, cyclonedx, openvex, plain, sarif, spdx
from appliance.scan.exports.told import Told


class Form(msgspec.Struct, frozen=True):
    """A form: its media type, the ending of its files, and who writes it."""

    media_type: str
    ending: str
    write: Callable[[Told], bytes]
    is_sbom: bool = False  # may be stored beside the image


FORMS = {
    "json": Form("application/json", "json", plain.write),
    "csv": Form("text/csv", "csv", csv_rows.write),
    "sarif": Form("application/sarif+json", "sarif", sarif.write),
    "cyclonedx": Form("application/vnd.cyclonedx+json", "cdx.json", cyclonedx.write, is_sbom=True),
    "spdx": Form("application/spdx+json", "spdx.json", spdx.write, is_sbom=True),
    "openvex": Form("application/openvex+json", "vex.json", openvex.write),
}
