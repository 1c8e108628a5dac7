"""Measurements: our speed beside that of others, and what withstands what. Run by a person, only."""
