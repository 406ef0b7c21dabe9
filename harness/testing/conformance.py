"""What a conformance check that is not passed raises."""

from collections.abc import Sequence


class NonConformance(AssertionError):  # noqa: N818 - what was found, as test frameworks show it
    """An implementation does not keep to its port. `problems` says how, each in one sentence."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
