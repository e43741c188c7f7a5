"""Pairs and answers: the sources of MultiNLI, the splits drawn from them, predictions.parquet and a run's records."""
