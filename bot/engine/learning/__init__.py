"""Plans the coming slots."""
