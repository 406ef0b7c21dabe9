"""The reference service that drills break: a small shop over PostgreSQL. It knows nothing of the harness."""
