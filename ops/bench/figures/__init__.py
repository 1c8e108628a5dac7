"""The figures: one module each, and the list of them in registry.py."""
