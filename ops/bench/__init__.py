"""Measurements of what could serve the webhook tier: run by a person, never by the programs."""
