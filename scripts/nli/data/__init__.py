"""Pairs and answers: the sources of MultiNLI, the splits drawn from them, and predictions.parquet."""
