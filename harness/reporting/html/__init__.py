"""`report.html`: one page for people that needs nothing but itself. `render` makes it; the modules beside draw its parts.
No figures of its own."""

from harness.reporting.html.page import render

__all__ = ["render"]
