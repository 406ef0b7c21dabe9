"""Durations are whole nanoseconds everywhere inside; these are the ways to write and to print them."""

Ns = int
"""A duration, or an instant on the monotonic clock, in nanoseconds."""

SECOND: Ns = 1_000_000_000


def milliseconds(value: float) -> Ns:
    """`value` milliseconds in nanoseconds."""
    return round(value * 1_000_000)


def seconds(value: float) -> Ns:
    """`value` seconds in nanoseconds."""
    return round(value * SECOND)


def minutes(value: float) -> Ns:
    """`value` minutes in nanoseconds."""
    return seconds(value * 60)


def hours(value: float) -> Ns:
    """`value` hours in nanoseconds."""
    return seconds(value * 3600)


def in_seconds(duration: Ns) -> float:
    """A duration as seconds."""
    return duration / SECOND


def show(duration: Ns | None) -> str:
    """A duration as people write it: `950 ms`, `4.2 s`, `30 min`, `12 h`; a dash for none."""
    if duration is None:
        return "–"
    value = abs(duration) / SECOND
    sign = "-" if duration < 0 else ""
    if value == 0:
        return "0 s"
    if value < 1:
        return f"{sign}{value * 1000:.0f} ms"
    for size, unit in ((3600, "h"), (60, "min")):
        if value >= 2 * size or value == size:
            return f"{sign}{value / size:.4g} {unit}"
    return f"{sign}{value:.1f} s" if value < 100 and value != int(value) else f"{sign}{value:.0f} s"
