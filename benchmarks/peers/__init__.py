"""One module a peer; each runs in an environment of its own, and imports nothing of ours but
`protocol`."""
