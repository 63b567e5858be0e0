"""The OpenAPI document of the management API, made of the routes themselves, and the page that shows it."""

from ias.openapi.document import Told, document
from ias.openapi.page import Pages

__all__ = ["Pages", "Told", "document"]
