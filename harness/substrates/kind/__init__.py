"""The `kind` substrate: a Kubernetes cluster of kind's, with databases in containers on its network. The reference."""
