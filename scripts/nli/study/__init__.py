"""The study in config.yaml: its typed definition, how it is resolved, and what each job depends on."""
