"""Put the page together and serve it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from nicegui import app, ui
from pydantic import SecretStr

from deployments.page import access
from deployments.page.fleet_view import FleetPage
from deployments.page.miner_view import MinerPage
from deployments.page.probes import METRICS, OPEN_PATHS, add_probes
from deployments.page.reading import PageReader
from storage.errors import NeedsHuman

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f8f83"/>'
    '<path d="M6 22l6-9 5 6 4-7 5 10" fill="none" stroke="#fff" stroke-width="2.6" stroke-linejoin="round"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Binding:
    """Where the page listens and who may look."""

    host: str
    port: int
    password: SecretStr | None
    data_directory: Path

    @property
    def secret_file(self) -> Path:
        """The secret that signs sessions."""
        return self.data_directory / "page.secret"

    @property
    def url(self) -> str:
        """Address for a browser."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


def serve(reader: PageReader, binding: Binding) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        NeedsHuman: bound to more than loopback without a password, the address is taken or is not of this host, or
            no session secret can be kept.
    """
    access.require_password(binding.host, binding.password)
    _require_free(binding)
    guarded = binding.password is not None and bool(binding.password.get_secret_value().strip())
    sessions, guesses = None, access.Guesses()
    if guarded and binding.password is not None:
        sessions = access.Sessions(access.session_secret(binding.secret_file), binding.password)
        _add_login(sessions, guesses)
    app.add_middleware(
        access.Door,
        sessions=sessions,
        host=binding.host,
        open_paths=OPEN_PATHS,
        basic_paths={METRICS},
        guesses=guesses,
    )
    known = sessions
    add_probes(
        app,
        reader,
        binding.data_directory,
        may_look=lambda request: known is None or known.admits(request.cookies.get(access.COOKIE)),
    )
    app.on_shutdown(reader.close)
    app.on_startup(lambda: print(f"lodeline page: {binding.url}", flush=True))  # noqa: T201

    @ui.page("/")
    def fleet(request: Request) -> None:
        FleetPage(request, reader, log_out=guarded)

    @ui.page("/miner/{miner_id:path}")
    def miner(request: Request, miner_id: str) -> None:
        MinerPage(request, reader, miner_id, log_out=guarded)

    ui.run(
        host=binding.host,
        port=binding.port,
        title="Lodeline",
        favicon=_ICON,
        dark=None,
        show=False,
        reload=False,
        tailwind=False,
        show_welcome_message=False,
    )


def _require_free(binding: Binding) -> None:
    """Say why the page cannot listen before the server does, which would only log it."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(binding.host, binding.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise NeedsHuman(
            f"the page cannot listen on {binding.host} port {binding.port}: {error.strerror}",
            remedy="Give another --host or --port",
        ) from error


def _add_login(sessions: access.Sessions, guesses: access.Guesses) -> None:
    @app.get("/login")
    def form() -> Response:
        return access.login_form()

    @app.post("/login")
    async def submit(request: Request) -> Response:
        return await access.log_in(request, sessions, guesses)

    @app.get("/logout")
    def leave() -> Response:
        return access.log_out()
