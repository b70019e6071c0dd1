"""Settings of Prefect's server, worker and flows, as environment variables. Each has its reason to differ."""

from __future__ import annotations

HEARTBEAT_S = 30
"""Between two signs of life of a run; the least Prefect takes."""

SILENT_S = 95
"""A run that was silent for this long (three heartbeats) is dead."""

QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
"""No telemetry, anywhere."""

SERVER = {
    **QUIET,
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",  # events are two thirds of the database; default a week
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # default: runs are kept for ever
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86_400),
    # In memory, by default, a restart of the server would kill every run that holds a limit.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}

MEMORY = {
    "MALLOC_ARENA_MAX": "2",  # by default each thread has an arena of its own, which keeps the most it ever held
    # Else malloc takes ever larger pieces from the heap, where what is above them keeps them.
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # else Arrow keeps what it frees in a pool of its own beside malloc's
}
"""How memory is shared out in a shift, which works for hours in several threads. With 10,000 miners the first and last
took 100 MB off 640 MB; the one between them 45 MB off 490 MB, and costs 0.1 s of CPU a tick. Read when a process
starts."""

WORKER = {
    **QUIET,
    **MEMORY,
    "PREFECT_WORKER_QUERY_SECONDS": "2",  # half of the gap after a crashed shift, at the default of 10 s
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_CLIENT_MAX_RETRIES": "8",  # final states wait 510 s for a server that is away, not 62 s
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "storage,tasks,flows",  # our own log lines go to the run's log ...
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # ... but those of threads, which belong to no run
}
"""Settings of a worker; flows inherit its environment."""
