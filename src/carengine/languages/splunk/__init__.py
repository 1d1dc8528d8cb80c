"""Splunk's search language: ``reader``, ``writer``, and ``stream_writer`` for plans over several
events."""
