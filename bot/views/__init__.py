"""One JSON shape for each answer, whoever asks: the command line today."""
