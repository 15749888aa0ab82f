"""The trials of a study: the work of their jobs, and the tables of their results."""
