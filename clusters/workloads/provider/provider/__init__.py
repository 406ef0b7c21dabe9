"""A provider that the system depends on, as far as its callers can tell: it answers well, badly, slowly or not at all."""
