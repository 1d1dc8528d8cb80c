"""Lucene's query strings, as Elasticsearch reads them."""
