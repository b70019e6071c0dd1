"""All examinations, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from deployments.doctor import host, orchestration, stores, watching
from deployments.doctor.finding import Finding, wrong
from deployments.settings import Settings
from storage.errors import LodelineError

EXAMINATIONS: tuple[Callable[[Settings], Iterable[Finding]], ...] = (
    host.packages,
    host.data_directory,
    host.machine,
    host.open_files,
    host.page_port,
    host.archive,
    stores.influxdb,
    stores.lake,
    orchestration.prefect,
    stores.pipeline,
    watching.alerts,
    watching.archive_mail,
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything; an examination that cannot be made is a finding itself."""
    for examination in EXAMINATIONS:
        try:
            yield from examination(settings)
        except (LodelineError, OSError) as error:
            yield wrong(examination.__name__.replace("_", " "), str(error), "See the message")
