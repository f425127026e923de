"""What may be spent: usage, limits, prices and the forecast."""
