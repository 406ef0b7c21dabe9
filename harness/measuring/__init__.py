"""What the open-loop workers (prober, ledger) have in common: the schedule, their lines, their way to PostgreSQL."""
