"""LogPoint's query language, which is read."""
