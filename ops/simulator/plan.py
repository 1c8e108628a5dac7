"""The plan: which scenario the next submission of a shortcode gets."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mpesa_balance.contract import check_shortcode
from mpesa_balance.errors import RequestRefused
from ops.simulator.scenarios import BY_NAME, BY_NUMBER, SUCCESS, Scenario

#: What shortcodes get that neither the plan nor the table of scenarios knows.
DEFAULT: Final = "default"

Names = tuple[str, ...]


class Plan:
    """Lists of scenarios by shortcode. Each submission takes the next of its list; the last repeats."""

    def __init__(self, start: Mapping[str, Names]) -> None:
        self._start = dict(start)
        self._lists = dict(start)
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next(self, shortcode: str) -> Scenario:
        """The scenario of the submission that has just come."""
        with self._lock:
            names = self._list(shortcode)
            before = self._taken[shortcode]
            self._taken[shortcode] += 1
        scenario = BY_NAME[names[min(before, len(names) - 1)]]
        return SUCCESS if scenario.passes and before >= len(names) else scenario

    def merge(self, lists: Mapping[str, Names]) -> None:
        """Put lists in the place of those of the same shortcodes, which begin again."""
        with self._lock:
            self._lists |= lists
            for shortcode in list(self._taken):
                if (shortcode if shortcode in self._lists else DEFAULT) in lists:
                    del self._taken[shortcode]

    def reset(self) -> None:
        """Go back to what the simulator was started with."""
        with self._lock:
            self._lists = dict(self._start)
            self._taken.clear()

    def document(self) -> dict[str, str | list[str]]:
        """The plan as `read_plan` takes it."""
        with self._lock:
            lists = {DEFAULT: (SUCCESS.name,)} | self._lists
        return {key: names[0] if len(names) == 1 else list(names) for key, names in lists.items()}

    def _list(self, shortcode: str) -> Names:
        if given := self._lists.get(shortcode):
            return given
        if scenario := BY_NUMBER.get(shortcode):
            return (scenario.name,)
        return self._lists.get(DEFAULT, (SUCCESS.name,))


def read_plan(document: Any) -> dict[str, Names]:
    """Lists of scenarios by shortcode, and under "default". Raises RequestRefused with all violations."""
    if not isinstance(document, dict):
        raise RequestRefused(['a plan must be a JSON object, such as {"600000": ["late", "success"]}'])
    if wrong := [problem for key, given in document.items() for problem in _problems(key, given)]:
        raise RequestRefused([*wrong, f"the scenarios are: {', '.join(BY_NAME)}"])
    return {key: _names(given) for key, given in document.items()}


def read_plan_file(path: Path) -> dict[str, Names]:
    """The plan in a file. Raises RequestRefused, and names the file."""
    try:
        return read_plan(json.loads(path.read_bytes()))
    except OSError as error:
        raise RequestRefused([f"{path} cannot be read ({error.strerror}): name another file"]) from error
    except ValueError as error:
        raise RequestRefused([f"{path} is not JSON ({error}): correct it"]) from error
    except RequestRefused as error:
        raise RequestRefused([f"{path}: {violation}" for violation in error.violations]) from None


def _problems(key: str, given: Any) -> Iterator[str]:
    if key != DEFAULT and check_shortcode(key):
        yield f"{key!r} is neither 5 to 12 digits nor {DEFAULT!r}"
    names = _names(given)
    if not names:
        yield f"{key!r} must have the name of a scenario or a list of names, and has none"
    for name in names:
        if not (isinstance(name, str) and name in BY_NAME):
            yield f"{name!r} (for {key!r}) is no scenario"


def _names(given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        return (given,)
    return tuple(given) if isinstance(given, list) else ()
