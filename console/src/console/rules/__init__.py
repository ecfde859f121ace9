"""The page of the rules of the business, and its editor."""
