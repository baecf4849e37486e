"""What a secret looks like: the four kinds of the manual, and the tokens of the common services.

The rules hold facts: prefixes, lengths and alphabets that the services publish so that their tokens can be found.
"""

from appliance.scan.rules import clouds, forges, keys, registries, services
from appliance.scan.rules.rule import Rule

# The manual, 2.3, "Support Secret": AWS access key, GitHub and GitLab personal access tokens, asymmetric private key.
MANUAL: tuple[Rule, ...] = (*clouds.AWS, *forges.GITHUB, *forges.GITLAB, *keys.ASYMMETRIC)
ALL: tuple[Rule, ...] = (
    *MANUAL,
    *forges.OTHERS,
    *clouds.OTHERS,
    *keys.OTHERS,
    *registries.RULES,
    *services.RULES,
)
VERSION = 1  # of the whole set: a change makes reports that older rules made stale
