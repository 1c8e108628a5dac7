"""Accounts of people and services in the console: what each may do, and how it shows who it is."""
