"""Finding out what is wrong with an installation: doctor."""

from collections import Counter
from typing import Any, Final

import click

from mpesa_balance.cli import output
from mpesa_balance.cli.programs import program

#: What a script sees where something does not work.
EXIT_UNWELL: Final = 1

_VERDICTS: Final = ("ok", "warning", "error", "unknown")
_COLUMNS: Final = ("Area", "Verdict", "Finding", "What to do")


@click.command()
@click.argument("shortcode", required=False)
@click.option("--all", "everything", is_flag=True, help="Show also what is well.")
@click.option("--strict", is_flag=True, help="Let a warning count as an error.")
@output.as_json
def doctor(shortcode: str | None, everything: bool, strict: bool, json_output: bool) -> None:
    """Say what is wrong with this installation, for SHORTCODE or every shortcode, and what to do.

    Settings, Postgres, Redis and workers, keys, Daraja apps (each is asked for a token), the callback
    address and every shortcode are looked at; nothing is changed. It is run where the workers run, with
    their settings. Verdicts: ok, warning, error, and unknown where something else is in the way.

    Exit codes: 0 nothing worse than warnings, 1 an error (with --strict: or a warning), 4 SHORTCODE is
    not registered.
    """
    with output.Progress("looking at everything; Daraja and the workers take a moment"):
        findings = program("ops.doctor.examination").examine(shortcode)
    documents = [finding.document() for finding in findings]
    counted = Counter(document["verdict"] for document in documents)
    verdicts = {verdict: counted[verdict] for verdict in _VERDICTS}
    if json_output:
        output.write_json({"verdicts": verdicts, "findings": documents})
    else:
        shown = [document for document in documents if everything or document["verdict"] != "ok"]
        if shown:
            output.write_table(_COLUMNS, [tuple(document.values()) for document in shown])
        click.echo(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    if verdicts["error"] or (strict and verdicts["warning"]):
        click.get_current_context().exit(EXIT_UNWELL)


COMMANDS: Final[tuple[Any, ...]] = (doctor,)
