"""What a check says: a verdict, what was found, and what to type or set about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands with what was looked at."""

    OK = "ok"
    WARNING = "warning"  #: it works, and should be looked at
    ERROR = "error"  #: it does not work, or soon will not
    UNKNOWN = "unknown"  #: nobody can tell, because something else is in the way


@dataclass(frozen=True, slots=True)
class Opinion:
    """One thing that a check has to say. It holds no secret, no token and no amount."""

    verdict: Verdict
    finding: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """An opinion and the area that it is about, such as "broker" or "shortcode 600000"."""

    area: str
    opinion: Opinion

    def document(self) -> dict[str, str]:
        """The finding as JSON has it."""
        said = self.opinion
        return {
            "area": self.area,
            "verdict": str(said.verdict),
            "finding": said.finding,
            "remedy": said.remedy,
        }


def ok(finding: str) -> Opinion:
    """All is well."""
    return Opinion(Verdict.OK, finding)


def warning(finding: str, remedy: str) -> Opinion:
    """It works, and should be looked at."""
    return Opinion(Verdict.WARNING, finding, remedy)


def error(finding: str, remedy: str) -> Opinion:
    """It does not work."""
    return Opinion(Verdict.ERROR, finding, remedy)


def unknown(finding: str, remedy: str) -> Opinion:
    """Nobody can tell."""
    return Opinion(Verdict.UNKNOWN, finding, remedy)
