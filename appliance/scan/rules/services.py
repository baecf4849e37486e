"""Tokens of the services that applications talk to."""

from appliance.domain.vulnerability import Severity
from appliance.scan.rules.rule import Rule, token

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

_TALK = (
    Rule(
        "slack-token",
        "Slack",
        "Slack token",
        Severity.CRITICAL,
        (b"xoxb-", b"xoxa-", b"xoxp-", b"xoxr-", b"xoxs-", b"xoxe-", b"xoxe.", b"xoxo-"),
        r"(?<![A-Za-z0-9])(?P<secret>xox(?:[bapsro]-|e[.-](?:xox[bp]-)?)[A-Za-z0-9-]{10,250})(?![A-Za-z0-9])",
    ),
    token("slack-app-token", "Slack", "Slack app token", "xapp-", r"[0-9]-[A-Z0-9]{9,15}-[0-9]{10,16}-[a-f0-9]{32,80}"),
    Rule(
        "slack-webhook",
        "Slack",
        "Slack webhook address",
        Severity.MEDIUM,
        (b"hooks.slack.com/",),
        r"(?P<secret>hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,100})",
    ),
    Rule(
        "discord-webhook",
        "Discord",
        "Discord webhook address",
        Severity.MEDIUM,
        (b"/api/webhooks/",),
        r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/(?P<secret>[A-Za-z0-9_-]{60,80})",
    ),
    Rule(
        "telegram-bot-token",
        "Telegram",
        "Telegram bot token",
        Severity.HIGH,
        (b":AA",),
        r"(?<![A-Za-z0-9])(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])",
    ),
    Rule(
        "teams-webhook",
        "Microsoft Teams",
        "Microsoft Teams webhook address",
        Severity.MEDIUM,
        (b".webhook.office.com/",),
        rf"\.webhook\.office\.com/webhookb2/(?P<secret>{_UUID}@{_UUID}/IncomingWebhook/[a-f0-9]{{32}}/{_UUID})",
    ),
    token("twilio-api-key", "Twilio", "Twilio API key", "SK", r"[0-9a-f]{32}", Severity.MEDIUM),
    token("sendgrid-api-key", "SendGrid", "SendGrid API key", "SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    token("mailgun-key", "Mailgun", "Mailgun private key", "key-", r"[0-9a-f]{32}", Severity.HIGH),
    Rule(
        "mailchimp-api-key",
        "Mailchimp",
        "Mailchimp API key",
        Severity.HIGH,
        (b"-us",),
        r"(?<![A-Za-z0-9])(?P<secret>[0-9a-f]{32}-us[0-9]{1,2})(?![A-Za-z0-9])",
    ),
    token("brevo-api-key", "Brevo", "Brevo API key", "xkeysib-", r"[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    token("resend-api-key", "Resend", "Resend API key", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{24}", Severity.HIGH),
)

_MONEY = (
    Rule(
        "stripe-key",
        "Stripe",
        "Stripe secret or restricted key",
        Severity.CRITICAL,
        (b"sk_live_", b"rk_live_", b"sk_test_", b"rk_test_"),
        r"(?<![A-Za-z0-9])(?P<secret>[rs]k_(?:live|test)_[A-Za-z0-9]{16,250})(?![A-Za-z0-9])",
    ),
    token("stripe-webhook-secret", "Stripe", "Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/]{32,64}", Severity.HIGH),
    token("square-access-token", "Square", "Square access token", "sq0atp-", r"[A-Za-z0-9_-]{22,43}"),
    token("square-oauth-secret", "Square", "Square OAuth secret", "sq0csp-", r"[A-Za-z0-9_-]{43}"),
    token(
        "braintree-token",
        "Braintree",
        "Braintree access token",
        "access_token$production$",
        r"[0-9a-z]{16}\$[0-9a-f]{32}",
    ),
    Rule(
        "shopify-token",
        "Shopify",
        "Shopify token",
        Severity.CRITICAL,
        (b"shpat_", b"shpca_", b"shppa_", b"shpss_"),
        r"(?<![A-Za-z0-9])(?P<secret>shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})(?![A-Za-z0-9])",
    ),
    token("shippo-token", "Shippo", "Shippo API token", "shippo_live_", r"[a-f0-9]{40}", Severity.HIGH),
    token("duffel-token", "Duffel", "Duffel API token", "duffel_live_", r"[A-Za-z0-9_=-]{43}", Severity.HIGH),
    token("easypost-key", "EasyPost", "EasyPost API key", "EZAK", r"[A-Za-z0-9]{54}", Severity.HIGH),
    token("flutterwave-key", "Flutterwave", "Flutterwave secret key", "FLWSECK-", r"[A-Za-z0-9]{32}-X", Severity.HIGH),
    token("razorpay-key", "Razorpay", "Razorpay live key ID", "rzp_live_", r"[A-Za-z0-9]{14}", Severity.HIGH),
    token("adyen-api-key", "Adyen", "Adyen API key", "AQE", r"[a-z]hmf[A-Za-z0-9+/=^-]{80,300}", Severity.HIGH),
)

_WATCH = (
    token(
        "grafana-service-account",
        "Grafana",
        "Grafana service account token",
        "glsa_",
        r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
    ),
    token("grafana-cloud-token", "Grafana", "Grafana Cloud token", "glc_eyJ", r"[A-Za-z0-9+/=]{30,400}"),
    Rule(
        "newrelic-key",
        "New Relic",
        "New Relic key",
        Severity.HIGH,
        (b"NRAK-", b"NRII-", b"NRIQ-", b"NRRA-"),
        r"(?<![A-Za-z0-9])(?P<secret>NR(?:AK|II|IQ|RA)-[A-Za-z0-9_-]{27,42})(?![A-Za-z0-9])",
    ),
    token("sentry-org-token", "Sentry", "Sentry organization token", "sntrys_eyJ", r"[A-Za-z0-9+/=_-]{80,400}"),
    token("sentry-user-token", "Sentry", "Sentry user token", "sntryu_", r"[a-f0-9]{64}"),
    token("dynatrace-token", "Dynatrace", "Dynatrace API token", "dt0c01.", r"[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    token("honeycomb-key", "Honeycomb", "Honeycomb ingest key", "hcaik_", r"[a-z0-9]{58}", Severity.HIGH),
    token("logfire-token", "Logfire", "Pydantic Logfire token", "pylf_v1_", r"[a-z]{2}_[A-Za-z0-9]{43}", Severity.HIGH),
    token("posthog-key", "PostHog", "PostHog personal API key", "phx_", r"[A-Za-z0-9_-]{40,50}", Severity.HIGH),
)

_WORK = (
    Rule(
        "airtable-token",
        "Airtable",
        "Airtable personal access token",
        Severity.CRITICAL,
        (b"pat",),
        r"(?<![A-Za-z0-9_-])(?P<secret>pat[A-Za-z0-9]{14}\.[a-f0-9]{64})(?![A-Za-z0-9])",
        before=1,
        after=80,  # three letters that stand in every text: the narrower the better
    ),
    token("linear-api-key", "Linear", "Linear API key", "lin_api_", r"[A-Za-z0-9]{40}"),
    token("notion-token", "Notion", "Notion integration token", "ntn_", r"[0-9]{11}[A-Za-z0-9]{35}"),
    token("figma-token", "Figma", "Figma personal access token", "figd_", r"[A-Za-z0-9_-]{36,60}", Severity.HIGH),
    token("postman-api-key", "Postman", "Postman API key", "PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}"),
    token("typeform-token", "Typeform", "Typeform API token", "tfp_", r"[A-Za-z0-9_=.-]{40,60}", Severity.HIGH),
    Rule(
        "hubspot-token",
        "HubSpot",
        "HubSpot private app token",
        Severity.HIGH,
        (b"pat-na1-", b"pat-eu1-", b"pat-na2-", b"pat-ap1-"),
        rf"(?<![A-Za-z0-9])(?P<secret>pat-(?:na1|na2|eu1|ap1)-{_UUID})(?![A-Za-z0-9])",
    ),
    token(
        "contentful-token", "Contentful", "Contentful management token", "CFPAT-", r"[A-Za-z0-9_-]{43}", Severity.HIGH
    ),
    token("readme-api-key", "ReadMe", "ReadMe API key", "rdme_", r"[a-z0-9]{70}", Severity.HIGH),
    token("dropbox-token", "Dropbox", "Dropbox short-lived token", "sl.", r"[A-Za-z0-9_-]{130,1200}", Severity.HIGH),
    token("frameio-token", "Frame.io", "Frame.io API token", "fio-u-", r"[A-Za-z0-9_=-]{64}", Severity.HIGH),
    token(
        "mapbox-secret-token",
        "Mapbox",
        "Mapbox secret token",
        "sk.eyJ",
        r"[A-Za-z0-9_-]{40,200}\.[A-Za-z0-9_-]{22}",
        Severity.HIGH,
    ),
    token(
        "facebook-access-token",
        "Facebook",
        "Facebook access token",
        "EAACEdEose0cBA",
        r"[A-Za-z0-9]{20,300}",
        Severity.HIGH,
    ),
)

_MODELS = (
    Rule(
        "openai-api-key",
        "OpenAI",
        "OpenAI API key",
        Severity.CRITICAL,
        (b"T3BlbkFJ",),  # "OpenAI" in base64, in the middle of every key
        r"(?<![A-Za-z0-9_-])(?P<secret>sk-(?:[a-z]{3,10}-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100})"
        r"(?![A-Za-z0-9])",
    ),
    token(
        "anthropic-api-key", "Anthropic", "Anthropic API key", "sk-ant-", r"[a-z]{3,7}[0-9]{2}-[A-Za-z0-9_-]{80,120}"
    ),
    token("huggingface-token", "Hugging Face", "Hugging Face access token", "hf_", r"[A-Za-z0-9]{34}"),
    token("huggingface-org-token", "Hugging Face", "Hugging Face organization token", "api_org_", r"[A-Za-z0-9]{34}"),
    token("replicate-token", "Replicate", "Replicate API token", "r8_", r"[A-Za-z0-9]{37}", Severity.HIGH),
    token("groq-api-key", "Groq", "Groq API key", "gsk_", r"[A-Za-z0-9]{52}", Severity.HIGH),
    token("perplexity-api-key", "Perplexity", "Perplexity API key", "pplx-", r"[A-Za-z0-9]{48}", Severity.HIGH),
    token("xai-api-key", "xAI", "xAI API key", "xai-", r"[A-Za-z0-9]{80}", Severity.HIGH),
    token(
        "langsmith-api-key",
        "LangSmith",
        "LangSmith API key",
        "lsv2_",
        r"(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
        Severity.HIGH,
    ),
)

_ANY = (
    Rule(
        "password-in-address",
        "Password in an address",
        "Password in the address of a database or queue",
        Severity.HIGH,
        tuple(
            f"{scheme}://".encode()
            for scheme in (
                *("postgres", "postgresql", "mysql", "mariadb", "mssql", "clickhouse"),
                *("mongodb", "mongodb+srv", "redis", "rediss", "amqp", "amqps"),
            )
        ),
        r"(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|clickhouse|mssql)://[^\s:/@\"'<>{}$]{0,100}:"
        r"(?!(?i:pass(?:word|wd)?|secret|changeme|x+|\*+)@)(?P<secret>[^\s:/@\"'<>{}$%]{6,200})@[A-Za-z0-9\[]",
        distinct=5,
    ),
    Rule(
        "json-web-token",
        "JSON Web Token",
        "JSON Web Token",
        Severity.MEDIUM,
        (b"eyJ",),
        r"(?<![A-Za-z0-9_-])(?P<secret>eyJ[A-Za-z0-9_-]{14,1000}\.eyJ[A-Za-z0-9_-]{14,2000}\.[A-Za-z0-9_-]{20,1000})",
        after=4200,
        distinct=12,
    ),
)

RULES = (*_TALK, *_MONEY, *_WATCH, *_WORK, *_MODELS, *_ANY)
