"""What runs inside a local environment as its first process. Standard library only: it has to start in milliseconds."""
