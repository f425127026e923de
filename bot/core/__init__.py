"""Pure decisions: no I/O, no clock, no hidden randomness."""

import warnings

# twitter-text-parser reads its table of emoji through pkg_resources: setuptools warns of that up to
# version 81, and has no such module from 82 on.
warnings.filterwarnings("ignore", message="(?s).*pkg_resources is deprecated")
