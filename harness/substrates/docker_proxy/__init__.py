"""What stands between the operator's docker commands and the daemon: they reach what is the environment's own, and no more."""
