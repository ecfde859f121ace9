"""Pages for people, off the hot path: the platform serves without them."""
