"""What people read: figures, tables of a paper, pages of the report, the terminal's last screen."""
