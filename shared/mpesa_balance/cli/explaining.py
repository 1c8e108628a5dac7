"""What Daraja's codes mean: explain, for people, for programs and as the page of the docs."""

from typing import Any, Final

import click

from mpesa_balance.cli import output
from mpesa_balance.errors import NotFound
from mpesa_balance.result_codes import TABLE, Code, Where, matching

_TITLES: Final = {
    Where.HTTP: "HTTP errors",
    Where.ACKNOWLEDGEMENT: "Acknowledgements",
    Where.RESULT: "Results",
}

_ABOUT: Final = (
    "Written by `mpesa-balance explain --markdown` from `shared/mpesa_balance/result_codes.py`, where "
    "each code has its row.\nA code that has none is never retried."
)


@click.command()
@click.argument("code", required=False)
@click.option("--markdown", is_flag=True, help="Write the page of the docs.")
@output.as_json
def explain(code: str | None, markdown: bool, json_output: bool) -> None:
    """Say what CODE means and what to do about it. A word of its meaning will do; without one, all."""
    found = matching(code) if code else list(TABLE)
    if not found:
        raise NotFound(
            f"nothing is known of {code!r}: such a code is never retried; look at the query's timeline"
        )
    if markdown:
        click.echo(page(found), nl=False)
        return
    documents = [_document(row) for row in found]
    columns = ("Code", "Where", "Meaning", "What the system does", "What to do")
    output.write_list(columns, [tuple(one.values()) for one in documents], documents, json_output)


def page(rows: list[Code]) -> str:
    """The codes as a Markdown page, a table for each place where they appear."""
    parts = ["# Daraja's codes", _ABOUT]
    for where, title in _TITLES.items():
        lines = ["| code | meaning | what the system does | what to do |", "|---|---|---|---|"]
        for row in rows:
            if row.where is where:
                cells = (_document(row)["code"], row.meaning, row.action.value, row.advice or "Nothing.")
                lines.append(f"| {' | '.join(cells)} |")
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _document(row: Code) -> dict[str, str]:
    words = f'with the words "{row.words}"' if row.words else ""
    return {
        "code": " ".join(filter(None, (row.code or "any", words))),
        "where": row.where,
        "meaning": row.meaning,
        "action": row.action.value,
        "advice": row.advice,
    }


COMMANDS: Final[tuple[Any, ...]] = (explain,)
