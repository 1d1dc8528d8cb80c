"""Kusto's query language, as Microsoft's Sentinel and Defender have it."""
