"""The whole product as processes of a test's own: migrations, api, worker, gateway and the mock engine."""

from tests.product.people import Org, Person
from tests.product.processes import Product, product

__all__ = ["Org", "Person", "Product", "product"]
