"""Models and data from the Hugging Face hub: what the study needs, fetched once into a cache."""
