"""Two runs of the study, compared: what `make compare` prints and writes."""
