"""Output for readers: figures, tables for papers, pages of the report, and the summary in the terminal."""
