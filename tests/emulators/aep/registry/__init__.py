"""Schema Registry: schemas, field groups and descriptors (platform.md 10)."""
