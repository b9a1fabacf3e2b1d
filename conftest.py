"""What `pytest --nbval` leaves uncompared: pictures, tables drawn as HTML, progress bars, and the results as data.

Each of these has a text beside it that is compared, or a test of its own in `tests/`.
"""

from typing import Any

GLUED = "application/papermill.record/"
UNCOMPARED = (
    "image/svg+xml",
    "text/html",
    "stderr",
    "application/vnd.corehead.results+json",
    *(GLUED + kind for kind in ("text/plain", "text/html", "image/png", "image/svg+xml")),
)


def pytest_collectstart(collector: Any) -> None:
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += UNCOMPARED
