"""What every other package uses: user-facing errors, atomic file writes, and the three classes."""
