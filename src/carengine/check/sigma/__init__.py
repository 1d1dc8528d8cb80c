"""What is checked of Sigma rules beside their logic: what they say about themselves, their log
sources and fields, and how their detections are written.

The findings are those of ``sigma check`` (pySigma's validators) and of SigmaHQ's conventions, each
with a place and, where there is one, a fix. ``metadata``, ``tags``, ``log_sources``, ``detections``
and ``file_names`` look at one document, ``collection`` at all that were loaded together.
"""

from .collection import check_sigma

__all__ = ["check_sigma"]
