"""Pretrains the demo's tiny models on the texts of the data source in use.

They replace the hub's models, with the same classes and the same `from_pretrained` layout. Like the hub's, they have
seen text of the study's kind, but no validation pair and none of the study's prompts.
"""
