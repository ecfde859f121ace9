"""What the notebooks show: the story of the data and of the embeddings, as queries and figures."""
