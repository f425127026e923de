"""An autonomous X bot as one long-running worker."""

__version__ = "0.1.0"
