"""Success and failure as values, for callers who would rather look than catch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from mpesa_balance.errors import MpesaBalanceError

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """It was done, and this is what it gave."""

    value: T


@dataclass(frozen=True, slots=True)
class Failure:
    """It was not done, and this is why; its class says what to do about it."""

    error: MpesaBalanceError


def safely(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Success[T] | Failure:
    """Call it, and return what it gives or the error that it raises on purpose, as a value.

    match safely(client.check_funds, "600000", Decimal(1_500_000), max_age=60):
        case Success(funds) if funds.is_enough: ...
        case Success(funds): ...
        case Failure(error): ...
    """
    try:
        return Success(call(*args, **kwargs))
    except MpesaBalanceError as error:
        return Failure(error)
