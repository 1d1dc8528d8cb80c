"""Elasticsearch's ES|QL."""
