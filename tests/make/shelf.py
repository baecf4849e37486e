"""A folder with vulnerability data to import: the dense database of the fixtures."""

import gzip
import shutil
from pathlib import Path

_DENSE = Path(__file__).parent.parent / "fixtures/scan/dense"


def write_shelf(folder: Path) -> Path:
    """Write the database and its metadata into `folder`; return it."""
    (folder / "trivy.db").write_bytes(gzip.decompress((_DENSE / "trivy.db.gz").read_bytes()))
    shutil.copy(_DENSE / "metadata.json", folder)
    return folder
