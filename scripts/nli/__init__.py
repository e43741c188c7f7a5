"""The study library, which the scripts next to this folder import.

Nothing is installed. Python puts a script's own folder on its path, so `from nli.data import splits` works
from every script, and `pyproject.toml` adds the same folder for the tests. A subfolder imports only from those before
it (tests/unit/test_rooms.py).
"""
