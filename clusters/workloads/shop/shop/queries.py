"""What the service asks of the database, with the names of tables and columns as the settings have them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from psycopg.rows import DictRow

from shop import coupons
from shop.database import Connection
from shop.settings import NAMES, Settings


class Refused(Exception):  # noqa: N818 - an answer, not a mistake
    """The request is understood and cannot be met: `status` is the HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants."""

    customer: int
    product: int
    quantity: int
    coupon: str = ""


class Queries:
    """Every statement of the service, composed once."""

    def __init__(self, settings: Settings) -> None:
        self._names = {
            name.replace(".", "_"): sql.Identifier(settings.names.get(name, name.rpartition(".")[2])) for name in NAMES
        }
        self._related = settings.feature("recommendations")
        self._totals = settings.feature("order_totals")
        self._payment_latency = settings.payment_latency
        self._coupons = settings.coupons
        product = (
            "SELECT {products_id} AS id, {products_name} AS name, {products_category_id} AS category_id, "
            "{products_price_cents} AS price_cents, {products_stock} AS stock FROM {products} "
        )
        self._category = self._compose(product + "WHERE {products_category_id} = %s ORDER BY {products_id} LIMIT %s")
        self._all = self._compose(product + "ORDER BY {products_id} LIMIT %s")
        self._one = self._compose(product + "WHERE {products_id} = %s")
        self._page = self._compose(
            "SELECT {orders_id} AS id, {orders_product_id} AS product_id, {orders_quantity} AS quantity, "
            "{orders_created_at} AS created_at FROM {orders} WHERE {orders_user_id} = %s "
            "ORDER BY {orders_created_at} DESC LIMIT %s"
        )
        self._months = self._compose(
            "SELECT to_char(month, 'YYYY-MM') AS month, (SELECT coalesce(sum({orders_quantity}), 0) FROM {orders} "
            "WHERE {orders_user_id} = %s AND {orders_created_at} >= month "
            "AND {orders_created_at} < month + interval '1 month') AS items "
            "FROM generate_series(date_trunc('month', now()) - interval '5 months', now(), interval '1 month') AS month"
        )
        self._often = self._compose(
            "SELECT {orders_product_id} AS product_id, count(*) AS times FROM {orders} "
            "WHERE {orders_user_id} = %s GROUP BY {orders_product_id} "
            "ORDER BY count(*) DESC, {orders_product_id} LIMIT 3"
        )
        self._lock = self._compose(
            "SELECT {products_stock} AS stock, {products_price_cents} AS price_cents FROM {products} "
            "WHERE {products_id} = %s FOR UPDATE"
        )
        self._take = self._compose(
            "UPDATE {products} SET {products_stock} = {products_stock} - %s WHERE {products_id} = %s"
        )
        self._order = self._compose(
            "INSERT INTO {orders} ({orders_user_id}, {orders_product_id}, {orders_quantity}) VALUES (%s, %s, %s) "
            "RETURNING {orders_id} AS id, {orders_created_at} AS created_at"
        )
        self._earlier = self._compose("SELECT 1 FROM {orders} WHERE {orders_user_id} = %s LIMIT 1")
        self._pending = self._compose("UPDATE {orders} SET {orders_status} = 'pending' WHERE {orders_id} = %s")
        self._paid = self._compose(
            "UPDATE {orders} SET {orders_status} = 'paid' WHERE {orders_id} = %s AND {orders_status} = 'pending'"
        )
        self._status = self._compose("SELECT {orders_status} AS status FROM {orders} WHERE {orders_id} = %s")

    def _compose(self, text: LiteralString) -> sql.Composed:
        return sql.SQL(text).format(**self._names)

    async def products(self, connection: Connection, *, category: int | None, limit: int) -> list[DictRow]:
        """Products of a category, or of all, by id."""
        if category is None:
            return await (await connection.execute(self._all, (limit,))).fetchall()
        return await (await connection.execute(self._category, (category, limit))).fetchall()

    async def product(self, connection: Connection, number: int) -> DictRow:
        """One product, with a few related ones where FEATURE_RECOMMENDATIONS is on; Refused(404) if there is none."""
        row = await (await connection.execute(self._one, (number,))).fetchone()
        if row is None:
            raise Refused(404, f"no product {number}")
        if self._related:
            others = await self.products(connection, category=row["category_id"], limit=4)
            row["related"] = [other["id"] for other in others if other["id"] != number][:3]
        return row

    async def orders(self, connection: Connection, customer: int, limit: int) -> DictRow:
        """A customer's latest orders; items by month, half a year (FEATURE_ORDER_TOTALS); what is often bought
        (FEATURE_RECOMMENDATIONS).

        Fast with an index on (user, created_at) or (user); without, each statement reads the whole table.
        """
        page = await (await connection.execute(self._page, (customer, limit))).fetchall()
        answer: DictRow = {"customer": customer, "orders": page}
        if self._totals:
            answer["months"] = await (await connection.execute(self._months, (customer,))).fetchall()
        if self._related:
            answer["often"] = await (await connection.execute(self._often, (customer,))).fetchall()
        return answer

    async def place(
        self,
        connection: Connection,
        order: Order,
        *,
        pending: bool = False,
        charge: Callable[[int], Awaitable[object]] | None = None,
    ) -> DictRow:
        """Take the stock and write the order in one transaction; Refused 404, 409, 422 (its coupon). `charge` is asked for the
        amount in cents meanwhile, and undoes it all by raising; a `pending` order waits to be called paid."""
        customer, product, quantity = order.customer, order.product, order.quantity
        async with connection.transaction():
            row = await (await connection.execute(self._lock, (product,))).fetchone()
            if row is None:
                raise Refused(404, f"no product {product}")
            if row["stock"] < quantity:
                raise Refused(409, f"{row['stock']} of product {product} left")
            cents = await self._price(connection, order, row["price_cents"] * quantity)
            # The payment provider is asked, and the connection is held meanwhile.
            await asyncio.sleep(self._payment_latency)
            if charge is not None:
                await charge(cents)
            await connection.execute(self._take, (quantity, product))
            placed = await (await connection.execute(self._order, (customer, product, quantity))).fetchone() or {}
            if pending:
                await connection.execute(self._pending, (placed["id"],))
        return {**placed, "customer": customer, "product_id": product, "quantity": quantity, "cents": cents}

    async def _price(self, connection: Connection, order: Order, cents: int) -> int:
        """The price in cents with the order's coupon; Refused(422) if that is none for this customer."""
        if not order.coupon:
            return cents
        try:
            coupon = self._coupons.found(order.coupon)
        except coupons.Refused as error:
            raise Refused(422, str(error)) from error
        if coupon.first and await (await connection.execute(self._earlier, (order.customer,))).fetchone():
            raise Refused(422, f"the coupon {order.coupon} is for a first order only")
        return coupons.applied(order.coupon, coupon, cents=cents, customer=order.customer)

    async def pay(self, connection: Connection, order: int) -> bool:
        """Call a pending order paid; whether there was one of that number."""
        return (await connection.execute(self._paid, (order,))).rowcount > 0

    async def paid(self, connection: Connection, order: int) -> bool:
        """Whether that order is paid."""
        row = await (await connection.execute(self._status, (order,))).fetchone()
        return row is not None and row["status"] == "paid"
