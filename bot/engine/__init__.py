"""The shell around the decisions: gather, decide, act; one verb a file."""
