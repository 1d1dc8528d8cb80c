"""Reasoning about conditions: whether they can be true, and with which values.

``satisfiability`` searches over the parts of a condition; ``texts``, ``differences`` and ``facts``
are the theories under it, of texts as regular languages, of numbers and times, and of what is known
of rows.
"""
