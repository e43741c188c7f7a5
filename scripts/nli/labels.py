"""The three classes of MultiNLI, in the order of its integer labels."""

LABELS = ("entailment", "neutral", "contradiction")
