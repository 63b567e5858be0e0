"""Measures the gateway side by side with other proxies on this machine: `make bench`."""
