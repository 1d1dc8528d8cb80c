"""Writing the page of an analytic as CAR publishes it: ``write_page``."""

from .attack import link_to, name_of
from .writing import write_page

__all__ = ["link_to", "name_of", "write_page"]
