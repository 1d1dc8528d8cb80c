"""EQL, the event query language: ``reader`` and ``writer``."""
