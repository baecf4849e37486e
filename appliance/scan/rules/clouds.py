"""Keys of cloud providers and of the tools that run them."""

from appliance.domain.vulnerability import Severity
from appliance.scan.rules.rule import Rule, token

_SEPARATORS = ("", "_", "-", ".")

AWS = (
    Rule(
        "aws-access-key-id",
        "AWS access key",
        "AWS access key ID",
        Severity.CRITICAL,
        (b"AKIA", b"ASIA", b"ABIA", b"ACCA", b"A3T"),
        r"(?<![A-Za-z0-9])(?P<secret>(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?<!EXAMPLE)(?![A-Za-z0-9])",
        distinct=1,
    ),
    Rule(
        "aws-secret-access-key",
        "AWS access key",
        "AWS secret access key",
        Severity.CRITICAL,
        tuple(f"{word}{mark}key".encode() for word in ("access", "secret", "aws") for mark in _SEPARATORS),
        r"(?i:access|secret|aws)[_.-]?(?i:key)[\"']?(?:\s{0,10}(?:=>|:=|=|:)\s{0,10}|\s{1,10})[\"']?"
        # Forty hex digits are a commit or a checksum.
        r"(?P<secret>(?![0-9a-f]{40})(?![0-9A-F]{40})[A-Za-z0-9/+]{40})(?<!EXAMPLEKEY)(?![A-Za-z0-9/+=])",
        is_caseless=True,
        distinct=10,
    ),
)

_STORAGE_KEY = r"(?P<secret>[A-Za-z0-9+/]{86}==)"

OTHERS = (
    token("gcp-api-key", "Google Cloud", "Google API key", "AIza", r"[0-9A-Za-z_-]{35}", Severity.HIGH),
    token("gcp-oauth-client-secret", "Google Cloud", "Google OAuth client secret", "GOCSPX-", r"[A-Za-z0-9_-]{28}"),
    token("gcp-access-token", "Google Cloud", "Google OAuth access token", "ya29.", r"[A-Za-z0-9_-]{60,}"),
    Rule(
        "azure-storage-key",
        "Azure",
        "Azure storage or service account key",
        Severity.CRITICAL,
        (b"AccountKey=", b"SharedAccessKey="),
        rf"(?:AccountKey=|SharedAccessKey=)(?:{_STORAGE_KEY}|(?P<shared>[A-Za-z0-9+/]{{43}}=))(?![A-Za-z0-9+/=])",
    ),
    Rule(
        "azure-client-secret",
        "Azure",
        "Microsoft Entra client secret",
        Severity.CRITICAL,
        (b"Q~",),
        r"(?<![A-Za-z0-9_~.-])(?P<secret>[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?![A-Za-z0-9_~.-])",
    ),
    token("digitalocean-token", "DigitalOcean", "DigitalOcean personal access token", "dop_v1_", r"[a-f0-9]{64}"),
    token("digitalocean-oauth", "DigitalOcean", "DigitalOcean OAuth token", "doo_v1_", r"[a-f0-9]{64}"),
    token("digitalocean-refresh", "DigitalOcean", "DigitalOcean refresh token", "dor_v1_", r"[a-f0-9]{64}"),
    token("alibaba-access-key-id", "Alibaba Cloud", "Alibaba access key ID", "LTAI", r"[A-Za-z0-9]{20}", Severity.HIGH),
    token("tencent-secret-id", "Tencent Cloud", "Tencent secret ID", "AKID", r"[A-Za-z0-9]{32}", Severity.HIGH),
    token("yandex-api-key", "Yandex Cloud", "Yandex API key", "AQVN", r"[A-Za-z0-9_-]{35,38}"),
    token("yandex-secret-key", "Yandex Cloud", "Yandex static secret key", "YCM", r"[A-Za-z0-9_-]{37}"),
    token("heroku-api-key", "Heroku", "Heroku API key", "HRKU-AA", r"[0-9A-Za-z_-]{58}"),
    token("fly-access-token", "Fly.io", "Fly.io access token", "fo1_", r"[A-Za-z0-9_-]{43}"),
    Rule(
        "fly-macaroon",
        "Fly.io",
        "Fly.io macaroon token",
        Severity.CRITICAL,
        (b"fm1r_", b"fm1a_", b"fm2_"),
        r"(?<![A-Za-z0-9_])(?P<secret>(?:fm1[ar]|fm2)_[A-Za-z0-9+/]{100,480}={0,3})",
    ),
    token("cloudflare-origin-ca-key", "Cloudflare", "Cloudflare origin CA key", "v1.0-", r"[a-f0-9]{24}-[a-f0-9]{146}"),
    token("vault-service-token", "HashiCorp Vault", "Vault service token", "hvs.", r"[A-Za-z0-9_-]{24,}"),
    token("vault-batch-token", "HashiCorp Vault", "Vault batch token", "hvb.", r"[A-Za-z0-9_-]{100,}"),
    Rule(
        "terraform-cloud-token",
        "HashiCorp Terraform",
        "Terraform Cloud API token",
        Severity.CRITICAL,
        (b".atlasv1.",),
        r"(?<![A-Za-z0-9])(?P<secret>[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})(?![A-Za-z0-9])",
    ),
    token("pulumi-access-token", "Pulumi", "Pulumi access token", "pul-", r"[a-f0-9]{40}"),
    Rule(
        "doppler-token",
        "Doppler",
        "Doppler token",
        Severity.CRITICAL,
        (b"dp.pt.", b"dp.st.", b"dp.ct.", b"dp.sa.", b"dp.scim.", b"dp.audit."),
        r"(?<![A-Za-z0-9.])(?P<secret>dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44})"
        r"(?![A-Za-z0-9])",
    ),
    token("databricks-token", "Databricks", "Databricks access token", "dapi", r"[a-f0-9]{32}(?:-[0-9])?"),
    Rule(
        "planetscale-token",
        "PlanetScale",
        "PlanetScale token or password",
        Severity.CRITICAL,
        (b"pscale_tkn_", b"pscale_pw_", b"pscale_oauth_"),
        r"(?<![A-Za-z0-9])(?P<secret>pscale_(?:tkn|pw|oauth)_[A-Za-z0-9=._-]{32,64})(?![A-Za-z0-9])",
    ),
    token("supabase-token", "Supabase", "Supabase access token", "sbp_", r"[a-f0-9]{40}"),
    token("neon-api-key", "Neon", "Neon API key", "napi_", r"[a-z0-9]{60,70}"),
    token(
        "mongodb-atlas-secret", "MongoDB", "MongoDB Atlas service account secret", "mdb_sa_sk_", r"[A-Za-z0-9_-]{40}"
    ),
    token("tailscale-key", "Tailscale", "Tailscale key", "tskey-", r"[a-z]{3,10}-[A-Za-z0-9]{8,25}-[A-Za-z0-9]{20,40}"),
    token(
        "onepassword-service-account",
        "1Password",
        "1Password service account token",
        "ops_eyJ",
        r"[A-Za-z0-9+/=_-]{200,}",
    ),
    Rule(
        "openshift-user-token",
        "OpenShift",
        "OpenShift user token",
        Severity.HIGH,
        (b"sha256~",),
        r"(?<![A-Za-z0-9])(?P<secret>sha256~[A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])",
    ),
    token(
        "cockroach-api-key", "CockroachDB", "CockroachDB Cloud API key", "CCDB1_", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{40}"
    ),
    token("vercel-blob-token", "Vercel", "Vercel Blob token", "vercel_blob_rw_", r"[A-Za-z0-9]{16}_[A-Za-z0-9]{30}"),
    token("netlify-token", "Netlify", "Netlify personal access token", "nfp_", r"[A-Za-z0-9]{36}"),
    token("render-api-key", "Render", "Render API key", "rnd_", r"[A-Za-z0-9]{28}"),
)
