"""An answer that cannot be given yet: the view has done its part, and no thread waits for the rest."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response

#: Where a server that can wait without a thread puts a list, and finds the answer that is to come.
WAITING: Final = "webhooks.waiting"


class Later(Response):
    """Once `done` is done, `answer` gives what is answered.

    done: ended by another thread, with whatever outcome.
    """

    def __init__(self, done: "Future[Any]", answer: Callable[[], Response]) -> None:
        super().__init__()
        self.done = done
        self.answer = answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Put itself where the server waits for it; another server's thread waits here."""
        waiting: list[Later] | None = environ.pop(WAITING, None)
        if waiting is not None:
            waiting.append(self)
            return ()
        self.done.exception()
        return self.answer()(environ, start_response)
