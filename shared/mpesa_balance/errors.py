"""The error tree: every fault leaves as one of these, and its class says what to do about it.

MpesaBalanceError
├── SettingsInvalid          our environment is wrong: name every setting, start nothing
├── SchemaOutdated           the database waits for `mpesa-balance migrate`
├── Unavailable              ours, and it passes: try again until it is recorded
│   ├── BrokerUnavailable        Redis
│   ├── DatabaseUnavailable      Postgres
│   ├── SpoolUnavailable         the disk of the webhook tier
│   └── ArchiveUnavailable       the disk of the archives: nothing is removed
├── RequestRefused           what a caller asked cannot be done: say everything that is wrong with it
│   ├── NotFound                 the thing that was named is not there
│   └── Forbidden                whoever asks may not do that, or not there
├── NotSignedIn              whoever asks has not shown who he is
├── NoBalance                a request ended without a balance: its text says why and what to do
│   └── AccountMissing           there is a balance, and the account that was named is not in it
├── NoAnswerYet              the time to wait is over: the request goes on, and can be looked at later
├── NotDelivered             a channel for alerts did not take a message: send it again later
├── CallbackRejected         the sender of a callback is refused
├── CallbackUnreadable       a callback of ours whose bytes cannot be read: keep it, move nothing
├── SealBroken               bytes that were not sealed by us, or not for this place
└── DarajaError              what came back from Daraja
    ├── DarajaTokenInvalid       mint a token, once, and send once more
    ├── DarajaUnavailable        Daraja has not taken it: send it again later
    │   └── DarajaThrottled          later, and not soon
    ├── DarajaUnclear            Daraja may have taken it: wait for its callback before asking again
    └── DarajaRefused            Daraja said no: never send it again
        ├── AppRefused               to the Daraja app itself: its consumer key or secret is wrong
        └── CredentialsRefused       to the initiator: suspend the shortcode before it is locked
"""

from collections.abc import Sequence


class MpesaBalanceError(Exception):
    """Whatever this system raises on purpose. Its text is one line that says what to do."""


class SettingsInvalid(MpesaBalanceError):
    """Settings are missing or malformed; the text names all of them."""


class SchemaOutdated(MpesaBalanceError):
    """The database has not been migrated to what this program needs."""


class Unavailable(MpesaBalanceError):
    """Something of ours cannot be reached now. Trying again is right."""


class BrokerUnavailable(Unavailable):
    """Redis cannot be reached or does not take the message."""


class DatabaseUnavailable(Unavailable):
    """Postgres cannot be reached or dropped the connection."""


class SpoolUnavailable(Unavailable):
    """The webhook tier's disk does not keep what it is given."""


class ArchiveUnavailable(Unavailable):
    """The disk of the archives does not keep what it is given, or somebody else writes there."""


class RequestRefused(MpesaBalanceError):
    """What was asked breaks rules; `violations` holds every one of them, a sentence each."""

    def __init__(self, violations: Sequence[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(violations))


class NotFound(RequestRefused):
    """What was named (a shortcode, an app, a query) is not registered here."""

    def __init__(self, what: str) -> None:
        super().__init__([what])


class Forbidden(RequestRefused):
    """Whoever asks has shown who he is, and may not do that."""

    def __init__(self, why: str) -> None:
        super().__init__([why])


class NotSignedIn(MpesaBalanceError):
    """Whoever asks has not shown who he is: no session or token, a wrong password, a used link."""


class NoBalance(MpesaBalanceError):
    """A request ended without a balance: it was refused, failed or timed out."""


class AccountMissing(NoBalance):
    """The shortcode has no account of the name that was given."""


class NoAnswerYet(MpesaBalanceError):
    """Nobody has answered within the time that the caller gives; asking for the answer again is right."""


class NotDelivered(MpesaBalanceError):
    """A channel for alerts did not take a message; the text never repeats the channel's address."""


class CallbackRejected(MpesaBalanceError):
    """The sender of a callback is refused; `status` is the HTTP status that says so."""

    def __init__(self, reason: str, status: int) -> None:
        self.status = status
        super().__init__(reason)


class CallbackUnreadable(MpesaBalanceError):
    """A callback holds nothing that can be applied; the text never repeats its content."""


class SealBroken(MpesaBalanceError):
    """Sealed bytes do not open: wrong key, wrong place, or changed."""


class DarajaError(MpesaBalanceError):
    """An answer of Daraja that is not an acceptance.

    `code` is Daraja's errorCode or ResponseCode as it was sent, or None where it gave none;
    `http_status` is None where no HTTP answer came.
    """

    def __init__(self, message: str, *, code: str | None = None, http_status: int | None = None) -> None:
        self.code = code
        self.http_status = http_status
        super().__init__(message)


class DarajaTokenInvalid(DarajaError):
    """The access token was not accepted."""


class DarajaUnavailable(DarajaError):
    """Daraja did not take the query and may take it later."""


class DarajaThrottled(DarajaUnavailable):
    """A quota is used up; coming back soon makes it worse."""


class DarajaUnclear(DarajaError):
    """The query was sent and no answer that can be understood came back."""


class DarajaRefused(DarajaError):
    """Daraja refused the query for good."""


class AppRefused(DarajaRefused):
    """Daraja refused the app's consumer key or secret; no initiator is at risk."""


class CredentialsRefused(DarajaRefused):
    """Daraja refused the initiator; repeating it can lock him."""
