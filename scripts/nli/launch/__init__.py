"""Checks before the first job what the machine or the cluster must have, and builds the container images."""
