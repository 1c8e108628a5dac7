"""The Celery program: it asks Daraja, records what Daraja says, and keeps watch over both."""
