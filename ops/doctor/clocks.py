"""Whether the clock of another machine shows the time that this one shows."""

from datetime import datetime
from typing import Final

from ops.doctor.verdicts import Opinion, error, ok, warning

#: Seconds that clocks kept by NTP never differ by, and seconds that deadlines and tokens cannot bear.
WARNING_SECONDS: Final = 2
ERROR_SECONDS: Final = 60

_REMEDY: Final = "let NTP keep both clocks: `timedatectl set-ntp true`, here and there"


def compare(whose: str, there: datetime, before: datetime, after: datetime) -> Opinion:
    """What to say of a clock that showed `there` between `before` and `after` on this machine."""
    middle = before + (after - before) / 2
    # The answer was given at any moment of the way there and back, so that much is not a difference.
    apart = abs((there - middle).total_seconds()) - (after - before).total_seconds() / 2
    if apart <= WARNING_SECONDS:
        return ok(f"the clock of {whose} and the one here agree")
    side = "ahead of" if there > middle else "behind"
    said = error if apart > ERROR_SECONDS else warning
    return said(f"the clock of {whose} is {apart:.0f} s {side} the one here", _REMEDY)
