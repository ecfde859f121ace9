"""Trains models: from a feed to an artefact in the store, and from pairs to their scores."""
