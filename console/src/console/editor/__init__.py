"""The pages by which an experiment is created, changed and decided: key, draft, review, apply."""
