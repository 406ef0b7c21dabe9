"""Which images the substrate uses. Not what is done with them."""

import msgspec

from harness.substrates import settings


class Images(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [images] of rundrill.toml; RUNDRILL_IMAGES_POSTGRES, RUNDRILL_IMAGES_PYTHON.

    `postgres`: a PostgreSQL image with the official one's entry point, 14 or later; glibc where a clock is to be moved.
    `python`: what the workloads' Dockerfiles are built on (their build argument PYTHON).
    """

    postgres: str = "postgres:17"
    python: str = "python:3.13-slim"


def images() -> Images:
    """What is set. InputError if it cannot be understood."""
    return settings.read("images", Images)
