"""How packages meet advisories: the rules of each distribution and ecosystem, and how bad a finding is."""
