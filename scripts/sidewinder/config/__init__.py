"""From the user's files to a study's config: composed, typed, checked. Imports no other room."""
