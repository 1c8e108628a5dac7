"""A Daraja on loopback: OAuth, the balance endpoint and its callbacks, as the real one behaves."""
