"""The study as config.yaml states it: its typed definition, how it is resolved, and what each job depends on."""
