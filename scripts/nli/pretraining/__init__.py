"""Pretraining of the demo's tiny models from the texts of whichever data source is in use.

They take the place of the hub's weights: the same classes and the same `from_pretrained` layout. Like the hub's, they
have seen text of the study's kind but never a validation pair, and none of the study's prompts.
"""
