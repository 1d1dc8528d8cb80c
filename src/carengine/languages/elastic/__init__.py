"""Elastic's detection rules: TOML files with a query in EQL or KQL, and what is said about it."""
