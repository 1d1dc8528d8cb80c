"""Sigma rules, by way of pySigma (the extra ``carengine[sigma]``).

``document`` takes files apart, ``detection`` and ``condition`` make conditions of detections,
``correlation`` makes windows of correlation rules, ``load`` puts all of them together. Rules stay
in their native names: what a log source is, and where a field stands in each shape of log, is in
the field maps (``maps/windows.yaml``).
"""

from .load import OUTPUT, read

__all__ = ["OUTPUT", "read"]
