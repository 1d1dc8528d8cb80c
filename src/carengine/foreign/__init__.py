"""Reading analytics that are written in other languages."""
