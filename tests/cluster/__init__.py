"""What takes long on Redis Cluster and Sentinel: `nox -s cluster`."""
