"""What pySigma's backends write of Sigma rules.

Backends are packages of their own (``pysigma-backend-splunk``); a processing pipeline gives a rule
the names and the log sources of a product. A query is text that is read back, or shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from attrs import define, field

from ...diagnostics import CarError, Diagnostic, codes


class ConversionError(Exception):
    """A rule that a backend cannot write; the text is what the backend says."""


@define
class Backend:
    """One of pySigma's backends, with the pipelines that rules go through.

    ``name`` is what pySigma calls it. Making one raises `CarError` where there is no such backend
    or pipeline.
    """

    name: str
    pipelines: Sequence[str] = ()
    _backend: Any = field(init=False, repr=False)
    _collections: Any = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        try:
            self._collections = import_module("sigma.collection")
            plugins = import_module("sigma.plugins")
        except ImportError:
            message = "Sigma's backends need the package pysigma: pip install 'carengine[sigma]'"
            raise CarError([Diagnostic(codes.MISSING_LIBRARY, message, origin=self.name)]) from None
        installed = plugins.InstalledSigmaPlugins.autodiscover()
        if self.name not in installed.backends:
            there = ", ".join(sorted(installed.backends)) or "none"
            message = f"pySigma has no backend {self.name}; installed: {there}"
            notes = (
                "backends are packages of their own: pip install pysigma-backend-splunk, "
                "-elasticsearch (lucene, eql, esql), -kusto, -crowdstrike (log_scale), -loki …",
            )
            raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message, notes=notes)])
        pipeline = None
        if self.pipelines:
            try:
                pipeline = installed.get_pipeline_resolver().resolve(list(self.pipelines))
            except Exception as problem:
                message = f"pySigma says of the pipelines: {problem}"
                raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message)]) from None
        self._backend = installed.backends[self.name](processing_pipeline=pipeline)

    def queries(self, text: str) -> tuple[str, ...]:
        """The queries of the rules in a YAML text. Raises `ConversionError`."""
        try:
            made = self._backend.convert(self._collections.SigmaCollection.from_yaml(text))
        except Exception as problem:
            # Backends raise what they like, and say with it what they cannot write.
            raise ConversionError(str(problem)) from problem
        return tuple(map(str, made))
