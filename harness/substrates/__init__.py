"""Ways to bring systems up, and what they share. Not what is done to a system that is up."""
