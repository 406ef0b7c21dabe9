"""A container runtime whose containers are processes: what a kubelet speaks to, by CRI (runtime.v1), on `local`."""
