"""Carrying out every check, whatever the others find, and saying why where one cannot be carried out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mpesa_balance.errors import MpesaBalanceError, NotFound
from ops.doctor.checks import CHECKS, Check
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Finding, Opinion, Verdict, unknown

#: Findings that leave nothing to build on.
_IN_THE_WAY: Final = (Verdict.ERROR, Verdict.UNKNOWN)

_MEND_FIRST: Final = "mend that first, then `mpesa-balance doctor` again"


def examine(shortcode: str | None) -> list[Finding]:
    """Everything that is found, for one shortcode or for all, area by area.

    Raises NotFound where the shortcode is not registered, and nothing else of ours.
    """
    with Patient(shortcode) as patient:
        return examine_all(patient, CHECKS)


def examine_all(patient: Patient, checks: Sequence[Check]) -> list[Finding]:
    """What these checks find, area by area. Raises NotFound."""
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    for check in checks:
        found = list(_carried_out(check, patient, failed))
        causes = [one.opinion.finding for one in found if one.opinion.verdict in _IN_THE_WAY]
        failed |= {check.name: causes[0]} if causes else {}
        findings += found
    areas = [finding.area for finding in findings]
    return sorted(findings, key=lambda finding: areas.index(finding.area))


def _carried_out(check: Check, patient: Patient, failed: Mapping[str, str]) -> Iterator[Finding]:
    for cause in (failed[need] for need in check.needs if need in failed):
        yield Finding(check.area, unknown(f"{check.name}: cannot tell, because {cause}", _MEND_FIRST))
        return
    if check.each is None:
        yield from _findings(check, check.area, patient)
        return
    for name, subject in check.each(patient).items():
        yield from _findings(check, f"{check.area} {name}", patient, subject)


def _findings(check: Check, area: str, patient: Patient, *subject: Any) -> Iterator[Finding]:
    yield from (Finding(area, opinion) for opinion in _opinions(check, patient, *subject))


def _opinions(check: Check, patient: Patient, *subject: Any) -> list[Opinion]:
    try:
        return check.examine(patient, *subject)
    except NotFound:
        raise
    except MpesaBalanceError as problem:
        return [unknown(f"{check.name}: cannot tell, because {problem}", _MEND_FIRST)]
