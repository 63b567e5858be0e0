"""The reconciler: what Git says is put into force, and kept up."""
