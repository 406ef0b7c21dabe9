"""The one effectful arrow: a plan becomes a history. Nothing is judged here."""
