"""From predictions to numbers: metrics, their intervals and tests, ladders and verdicts."""
