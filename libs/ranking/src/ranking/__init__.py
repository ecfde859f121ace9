"""Catalogue, candidate matrix, retrieval, scoring, artefact and the one ranker server."""
