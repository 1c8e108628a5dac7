"""The ways in which people do it today, run for real: each is what its libraries' own docs show."""
