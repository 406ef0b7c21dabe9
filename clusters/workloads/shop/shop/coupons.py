"""Coupons: what a code takes off an order, and for whom. Not how an order is placed (shop.queries)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

log = logging.getLogger("shop.coupons")


class Refused(Exception):  # noqa: N818 - an answer, not a mistake
    """The coupon takes nothing off this order; the message says why."""


@dataclass(frozen=True, slots=True)
class Coupon:
    """`percent` off the price; `first`: only for a customer who has not ordered before."""

    percent: int
    first: bool = False


@dataclass(frozen=True, slots=True)
class Coupons:
    """The coupons of all campaigns by their codes, and the codes that are refused whatever their campaign says."""

    campaigns: Mapping[str, Coupon] = field(default_factory=dict)
    blacklisted: frozenset[str] = frozenset()

    def found(self, code: str) -> Coupon:
        """The coupon of that code; Refused if there is none, or none any more."""
        if code in self.blacklisted:
            raise Refused(f"the coupon {code} is not accepted any more")
        if code not in self.campaigns:
            raise Refused(f"there is no coupon {code}")
        return self.campaigns[code]


def applied(code: str, coupon: Coupon, *, cents: int, customer: int) -> int:
    """The price with the coupon, in cents, and a line in the log."""
    off = cents * coupon.percent // 100
    log.info("ApplyPromotion %s: %d cents off %d for customer %d", code, off, cents, customer)
    return cents - off
