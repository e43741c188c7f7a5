"""The three classes of MultiNLI, in the order of its integer labels."""

LABELS = ("entailment", "neutral", "contradiction")
LABEL_NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
