"""What may be said: texts as X counts them, drafts, and the guard."""
