"""What a cluster of the local substrate has for a network, without Docker and without kernel modules: pods' links, Services,
names, NetworkPolicies, usage metrics. Not the control plane, not the container runtime.
"""
