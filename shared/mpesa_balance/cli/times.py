"""Instants as people write them at the command line."""

from datetime import datetime

import click

from mpesa_balance import moments


def at_or_ago(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """An instant, or how long ago it was. What names no zone is meant as it is shown: in East Africa."""
    if value is None:
        return None
    try:
        return moments.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
