"""Where the values of ``${NAME}`` come from: the environment, a folder with one file per name, what is plugged in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from storage.errors import ConfigurationError

Resolver = Callable[[str], str | None]
"""Value of a name, None when this source has none. May raise a LodelineError when the source itself is out of order."""

SECRETS_FOLDER = "LODELINE_SECRETS_DIR"
"""Variable that names the folder of secret files (systemd's and Docker's way: file name = NAME, content = value)."""


def from_environment(environ: Mapping[str, str]) -> Resolver:
    """Values of environment variables."""
    return environ.get


def from_folder(folder: Path) -> Resolver:
    """Contents of the files of ``folder``; one line end at the end is not part of the value.

    Raises:
        ConfigurationError: the folder is not there; a file in it cannot be read (said when its name is asked for).
    """
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: the folder of secrets ({SECRETS_FOLDER}) does not exist"])

    def resolve(name: str) -> str | None:
        file = folder / name
        try:
            return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigurationError([f"{file}: the secret cannot be read: {reason}"]) from None

    return resolve


def in_turn(*resolvers: Resolver) -> Resolver:
    """The first value that any of ``resolvers`` has."""

    def resolve(name: str) -> str | None:
        return next((value for resolver in resolvers if (value := resolver(name)) is not None), None)

    return resolve


def usual_resolver(environ: Mapping[str, str], *further: Resolver) -> Resolver:
    """The environment, then the folder named by LODELINE_SECRETS_DIR, then ``further`` (e.g. Prefect Secret blocks)."""
    folder = environ.get(SECRETS_FOLDER)
    return in_turn(from_environment(environ), *([from_folder(Path(folder))] if folder else []), *further)
