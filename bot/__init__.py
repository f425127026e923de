"""An autonomous X bot as one long-running worker."""

import warnings

__version__ = "0.1.0"

# twitter-text-parser reads its table of emoji through pkg_resources: setuptools warns of that up to
# version 81, and has no such module from 82 on.
warnings.filterwarnings("ignore", message="(?s).*pkg_resources is deprecated")
