"""Turns a trained or prompted model, or a chance baseline, into the rows of predictions.parquet."""
