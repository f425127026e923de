"""Posts exactly once, settles what is unknown, and compares with the live timeline."""
