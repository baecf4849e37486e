"""A Helm chart: the archive as `helm package` would lay it out, and the manifest that `helm push` would send."""

from tests.make.images import OCI_MANIFEST, Blob, Manifest, encode
from tests.make.layers import gzip_stored, tar

HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

_TEMPLATE = b"""apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-greeting
data:
  greeting: {{ .Values.greeting | quote }}
"""


def archive(name: str, version: str) -> bytes:
    """Return the packed chart, a `.tgz`. Spec: Helm's "Charts", "The Chart File Structure"."""
    return gzip_stored(
        tar(
            {
                f"{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n".encode(),
                f"{name}/values.yaml": b"greeting: hello\n",
                f"{name}/templates/greeting.yaml": _TEMPLATE,
            }
        )
    )


def chart(name: str = "greeting", version: str = "1.0.0") -> Manifest:
    """Return the chart as an OCI manifest with Helm's media types."""
    config = Blob(encode({"name": name, "version": version, "apiVersion": "v2"}))
    content = Blob(archive(name, version))
    body = encode(
        {
            "schemaVersion": 2,
            "config": config.descriptor(HELM_CONFIG),
            "layers": [content.descriptor(HELM_CHART)],
            "annotations": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
        }
    )
    return Manifest(OCI_MANIFEST, body, (config, content))
