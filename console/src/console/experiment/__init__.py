"""The page of one experiment, rendered wholly from a report: ship, hold or roll back?"""
