"""Writes drafts ahead of their slots."""
