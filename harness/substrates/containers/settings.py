"""Which images the substrate uses. Not what is done with them."""

import msgspec

from harness.substrates import settings


class Images(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [images] of rundrill.toml; RUNDRILL_IMAGES_POSTGRES, RUNDRILL_IMAGES_PYTHON and so on.

    `postgres`: a PostgreSQL image with the official one's entry point, 14 or later; glibc where a clock is to be moved.
    `python`: what the workloads' Dockerfiles are built on (their build argument PYTHON).
    `redis`: a Redis or Valkey image with a program redis-server. `mongo`: one with the official one's entry point.
    """

    postgres: str = "postgres:17"
    python: str = "python:3.13-slim"
    redis: str = "redis:7"
    mongo: str = "mongo:7"


def images() -> Images:
    """What is set. InputError if it cannot be understood."""
    return settings.read("images", Images)
