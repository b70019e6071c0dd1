"""Where secrets of new accesses go, once: to the terminal, into files of mode 0600, into Prefect Secret blocks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from storage.errors import LodelineError, NeedsHuman, TryAgain
from storage.influx.provisioning.server import Minted


class Keeper(Protocol):
    """Keeps secrets. What cannot be kept must not be made, so it is asked first."""

    def check(self) -> None:
        """Raise a LodelineError where it could not keep anything."""
        ...

    def keep(self, minted: Minted) -> str:
        """Keep one; where, in words. Raises a LodelineError where that failed."""
        ...


def variable_of(minted: Minted) -> str:
    """Variable that its holder reads it from."""
    if minted.access == "grafana":
        return "LODELINE_GRAFANA_INFLUX_TOKEN"
    return "LODELINE_INFLUX__TOKEN" if minted.user is None else "LODELINE_INFLUX__PASSWORD"


class Terminal:
    """Holds them until the command prints them; ``told`` is by access."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def check(self) -> None:
        """A terminal takes everything."""

    def keep(self, minted: Minted) -> str:
        """Remember it."""
        self.told[minted.access] = minted.secret.get_secret_value()
        return "printed below, once"


class Files:
    """``<folder>/<access>/<variable>``: with LODELINE_SECRETS_DIR set to ``<folder>/<access>`` its holder finds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser()

    def check(self) -> None:
        """Raises NeedsHuman: the folder cannot be made or written."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._folder / f".lodeline.{os.getpid()}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def keep(self, minted: Minted) -> str:
        """Write it; it is never in a file that others may read, nor half in one. Raises NeedsHuman."""
        file = self._folder / minted.access / variable_of(minted)
        new = file.with_name(f".{file.name}.new")
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            new.unlink(missing_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
                opened.write(minted.secret.get_secret_value() + "\n")
                opened.flush()
                os.fsync(opened.fileno())
            new.replace(file)
        except OSError as error:
            raise _unwritable(file, error) from error
        return str(file)


class PrefectBlocks:
    """Secret blocks of the Prefect server. That of ``host`` has the name by which flows ask for their token."""

    def check(self) -> None:
        """Raises TryAgain: no server. NeedsHuman: none is named."""
        import httpx

        from deployments.prefect.environment import QUIET

        os.environ.update(QUIET)
        url = os.environ.get("PREFECT_API_URL")
        if not url:
            raise NeedsHuman("no Prefect server is named", remedy="Set PREFECT_API_URL")
        try:
            httpx.get(f"{url}/health", timeout=10).raise_for_status()
        except httpx.HTTPError as error:
            raise TryAgain(f"the Prefect server at {url} does not answer ({type(error).__name__})") from error

    def keep(self, minted: Minted) -> str:
        """Save it over what the block had before. Raises TryAgain."""
        import httpx
        from prefect.blocks.system import Secret
        from prefect.exceptions import PrefectException

        variable = variable_of(minted)
        name = variable if minted.access == "host" else f"{variable}_{minted.access}"
        block = name.lower().replace("_", "-")
        try:
            Secret(value=minted.secret.get_secret_value()).save(block, overwrite=True, _sync=True)  # type: ignore[call-arg]
        except (httpx.HTTPError, PrefectException, ValueError) as error:
            raise TryAgain(f"Secret block {block} could not be saved ({type(error).__name__})") from error
        return f"Prefect Secret block {block}"


def _unwritable(path: Path, error: OSError) -> LodelineError:
    return NeedsHuman(f"{path} cannot be written ({error.strerror or error})", remedy="Name another folder")
