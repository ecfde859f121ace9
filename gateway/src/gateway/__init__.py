"""The only public door: splits traffic, asks for features and ranking, degrades."""
