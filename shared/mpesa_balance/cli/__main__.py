"""Lets `python -m mpesa_balance.cli` run the command."""

from mpesa_balance.cli.main import main

main()
