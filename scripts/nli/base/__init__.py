"""What every room stands on: errors for a person, files written whole or not at all, and the three classes."""
