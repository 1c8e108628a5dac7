"""What our programs tell Prometheus, as the tests look at it: all that they can tell, and one scrape."""

from collections.abc import Iterator

import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import webhooks.metrics
import worker.metrics
from mpesa_balance.inbox import Disposition
from mpesa_balance.standing import ShortcodeStanding, Standing, Waiting
from worker.standing import gauges

_SHORTCODE = ShortcodeStanding(
    shortcode="600000", is_suspended=False, password_age=86_400.0, balance_age=60.0
)

STANDING = Standing(
    queries={"pending": Waiting(2, 1.5)},
    notices=Waiting(1, 2.5),
    replies=Waiting(),
    unjudged=Waiting(),
    inbox={Disposition.CONFLICT: 1},
    quarantined=0,
    shortcodes=(_SHORTCODE,),
    slots={"app": 0.0},
)


def families() -> Iterator[Metric]:
    """Every metric that any of our programs tells of."""
    yield from webhooks.metrics.Counted().registry.collect()
    yield from worker.metrics.Counted().registry.collect()
    yield from gauges(STANDING, {"app": 3000.0})


def series() -> dict[str, set[str]]:
    """The name of every series that a rule or a panel may ask for, with its labels."""
    found: dict[str, set[str]] = {}
    counted = (webhooks.metrics.Counted(), worker.metrics.Counted())
    for one in counted:
        for metric in vars(one).values():
            labels = set(getattr(metric, "_labelnames", ()))
            for family in metric.describe() if hasattr(metric, "describe") else ():
                for suffix in _SUFFIXES[family.type]:
                    found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    for family in gauges(STANDING, {"app": 3000.0}):
        found[family.name] = {label for sample in family.samples for label in sample.labels}
    return found


_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


class Scrape:
    """One answer to Prometheus."""

    def __init__(self, url: str) -> None:
        answer = requests.get(url, timeout=10)
        answer.raise_for_status()
        self.text = answer.text
        self.families = list(text_string_to_metric_families(answer.text))

    def value(self, name: str, **labels: str) -> float:
        """The sum of all series of this name with these labels; 0 for none."""
        samples = [sample for family in self.families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
