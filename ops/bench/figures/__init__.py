"""The figures: one module each, and the list of them in the order of the report."""
