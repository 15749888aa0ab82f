"""Composes a study's config from the user's files, types it and checks it. Imports no other room."""
