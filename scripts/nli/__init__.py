"""The study library: what the scripts beside this folder import.

Nothing is installed. Python puts a script's own folder on its path, so `from nli import data` works from
every script, and `pyproject.toml` adds the same folder for the tests.
"""
