"""Background load and the write ledger: what makes a replica worth measuring, and what was lost of what was written."""
