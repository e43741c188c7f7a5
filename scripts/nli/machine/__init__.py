"""What this machine has and uses: GPUs, memory and power."""
