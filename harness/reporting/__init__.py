"""What was found, shown: on a terminal, as a page, for CI, for programs. No judging and no figures of its own."""
