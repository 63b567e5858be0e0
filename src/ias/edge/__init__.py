"""Redis as the monolith uses it: one server, a master that sentinels name, or a cluster."""

from ias.edge.edge import Edge, EdgeDown, KeyRecord

__all__ = ["Edge", "EdgeDown", "KeyRecord"]
