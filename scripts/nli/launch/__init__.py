"""Before the first job: what the machine or the cluster must have, and the container images."""
