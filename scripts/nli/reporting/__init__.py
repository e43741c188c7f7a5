"""The report: reading the runs, tables, figures and sentences computed from them, and rendering."""
