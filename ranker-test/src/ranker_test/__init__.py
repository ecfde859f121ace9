"""Embeddings and deep learning: text vectors and a two-tower network into CatBoost."""
