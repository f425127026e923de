"""Feeds, pages and notes in; plain text items out."""
