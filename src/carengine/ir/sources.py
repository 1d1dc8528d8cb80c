"""Log sources as kinds of events: a product, and Sigma's category or service.

::

    aws/cloudtrail                     a product and its service or category
    */webserver                        of any product; those of the three systems as well
    linux/process_creation/auditd      a category of a product, as one service logs it
"""

from __future__ import annotations

from .nodes import SERVICE, Compare, Condition, Constant, EventKind, Field, Relation, Type

ANY_SOURCE = "*"
"""The part of a log source that may be anything."""

# The systems whose logs share Sigma's categories, for rules that name no product.
_SYSTEMS = ("windows", "linux", "macos")


def source_kinds(product: str, name: str) -> tuple[EventKind, ...]:
    """The kinds of events that a search for a log source looks at.

    >>> [str(kind) for kind in source_kinds("aws", "cloudtrail")]
    ['aws/cloudtrail']
    >>> [str(kind) for kind in source_kinds("*", "dns")]
    ['*/dns', 'windows/dns', 'linux/dns', 'macos/dns']
    """
    products = (ANY_SOURCE, *_SYSTEMS) if product == ANY_SOURCE else (product,)
    return tuple(EventKind(one, name) for one in products)


def of_service(service: str) -> Condition:
    """The condition that an event of a category was logged by a service."""
    return Compare(Field(SERVICE), Relation.EQUAL, Constant(service), Type.TEXT)
