"""Asks before anything is spent, and books it."""
