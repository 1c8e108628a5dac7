"""A host whose clock is wrong by SKEW seconds, as far as `time.time` tells it."""

import os
import time

_right = time.time
_skew = float(os.environ["SKEW"])


def _wrong() -> float:
    return _right() + _skew


time.time = _wrong
