"""Reconciliation: setting balances against an uploaded ledger, and what came of it before."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from mpesa_balance import audit, reconciliations
from mpesa_balance.audit import Action
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.ledgers import read_ledger
from mpesa_balance.people.roles import Right
from mpesa_balance.reconciled_periods import Wanted
from mpesa_balance.reconciliation import period_problem, read_tolerance
from mpesa_balance.reconciliation_reports import ENDINGS, HEADS, about, lines, shown, summary, write
from mpesa_balance.reconciliations import Book, Reconciliation
from mpesa_balance.results import EAST_AFRICA
from mpesa_balance.texts import printable
from ops.console.asked_for import instant
from ops.console.attachments import attachment
from ops.console.desk import actor, person, registered, scope, sealer, transaction
from ops.console.gate import demands, takes_files

blueprint = Blueprint("reconciling", __name__)


@blueprint.get("/reconciliations")
@demands(Right.LOOK)
def listed() -> str:
    """The newest, and the form for another."""
    with transaction() as connection:
        found = reconciliations.listed(connection, scope())
    rows = [(one, summary(one)) for one in found]
    return render_template("reconciliations.html", rows=rows, shortcode=request.args.get("shortcode", ""))


@blueprint.post("/reconciliations")
@takes_files
@demands(Right.RECONCILE)
def make() -> AnyResponse:
    """Set the balances of a period against a ledger, and keep what comes of it."""
    wanted = _wanted()
    person().demand_shortcode(wanted.shortcode)
    book = _book()
    with transaction() as connection:
        registered(connection, wanted.shortcode)
        made = reconciliations.make(connection, sealer(), wanted, book, actor())
        made = reconciliations.keep(connection, sealer(), made)
        audit.add(connection, actor(), Action.RECONCILED, wanted.shortcode, f"reconciliation {made.id}")
    return redirect(url_for("reconciling.page", reconciliation_id=made.id))


@blueprint.get("/reconciliations/<uuid:reconciliation_id>")
@demands(Right.LOOK)
def page(reconciliation_id: UUID) -> str:
    """One with its amounts."""
    found = _found(reconciliation_id)
    rows = [[shown(cell) for cell in cells] for cells in lines(found)]
    return render_template(
        "reconciliation.html", one=found, about=list(about(found)), heads=HEADS, rows=rows, endings=ENDINGS
    )


@blueprint.get("/reconciliations/<uuid:reconciliation_id>/file<ending>")
@demands(Right.LOOK)
def download(reconciliation_id: UUID, ending: str) -> Response:
    """One as a file."""
    if ending not in ENDINGS:
        raise NotFound(f"a reconciliation is a file that ends in one of {', '.join(ENDINGS)}")
    found = _found(reconciliation_id)
    stem = f"reconciliation-{found.shortcode}-{found.period_from.astimezone(EAST_AFRICA):%Y-%m-%d}"
    return attachment(write(found, ending), stem, ending)


def _found(reconciliation_id: UUID) -> Reconciliation:
    """One that he may see, once it is on record that he looks."""
    with transaction() as connection:
        # Whoever may not see it learns not even that there is one.
        found = reconciliations.shown(connection, sealer(), reconciliation_id, scope())
        detail = f"reconciliation {found.id}"
        audit.add(connection, actor(), Action.RECONCILIATION_SHOWN, found.shortcode, detail)
    return found


def _wanted() -> Wanted:
    shortcode = request.form.get("shortcode", "").strip()
    begins, ends = instant("begins"), instant("ends")
    wrong = [] if shortcode else ["say which shortcode"]
    if problem := period_problem(begins, ends, datetime.now(UTC)):
        wrong.append(problem)
    try:
        tolerance = read_tolerance(request.form.get("tolerance", "").strip() or "0")
    except ValueError as error:
        wrong.append(f"the tolerance {error}")
        tolerance = Decimal(0)
    if wrong:
        raise RequestRefused(wrong)
    whole = (cast("datetime", begins), cast("datetime", ends))
    return Wanted(shortcode=shortcode, begins=whole[0], ends=whole[1], tolerance=tolerance)


def _book() -> Book:
    file = request.files.get("ledger")
    if not isinstance(file, FileStorage) or not file.filename:
        raise RequestRefused(["choose the ledger: a CSV of your own, or M-PESA's statement"])
    content = file.read()
    ledger = read_ledger(content, request.form.get("account", "").strip() or None)
    return Book(name=printable(file.filename)[:200], content=content, ledger=ledger)
