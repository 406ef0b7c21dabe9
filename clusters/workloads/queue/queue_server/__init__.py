"""The queue's server where images are local commands: Valkey, from its wheel."""
