"""Source items in, drafts out."""
