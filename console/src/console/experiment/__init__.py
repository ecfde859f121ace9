"""The page of one experiment, rendered from a report alone: ship, hold or roll back?"""
