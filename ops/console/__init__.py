"""The finance console: web pages for those who look after balances, and a JSON API under the same roles."""
