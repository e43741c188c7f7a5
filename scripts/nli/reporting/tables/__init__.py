"""The report's tables, a module for each part of the study, and the registry of all fragments."""
