"""Whether this is the long run, RUNDRILL_PROOF=full, or the short one that every change waits for."""

import os

FULL = os.environ.get("RUNDRILL_PROOF") == "full"
