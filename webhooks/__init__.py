"""The Flask program: it checks what arrives at a callback address and passes it on, unread."""
