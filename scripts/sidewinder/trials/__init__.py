"""The trials of a study: what their jobs do, and the tables of their results."""
