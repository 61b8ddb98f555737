"""Data Prep: mapping sets and the expression language (platform.md 8)."""
