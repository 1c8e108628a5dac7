"""Figures of the comparison that are about our system alone: each a module with `run` and a command."""
