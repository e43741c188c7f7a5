"""Models and data from the Hugging Face hub: what the study needs of it, fetched once into a cache."""
