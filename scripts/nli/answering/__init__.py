"""From a trained or prompted model to the rows of predictions.parquet, and the chance baselines' own."""
