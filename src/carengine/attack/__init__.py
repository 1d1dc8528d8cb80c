"""ATT&CK: the names of its tactics and techniques, and where their pages are."""

from .techniques import link_to, name_of

__all__ = ["link_to", "name_of"]
