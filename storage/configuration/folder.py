"""The folder of configuration files: which are there, and which are named almost right."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from storage.configuration.section import nearest
from storage.errors import ConfigurationError


def files_in(folder: Path | None, names: Iterable[str]) -> dict[str, Path | None]:
    """Paths of those files of ``names`` that ``folder`` holds; None for the others, and for all without a folder.

    Raises:
        ConfigurationError: there is no such folder; a YAML file in it is read by nobody, but looks as if it was meant
            to be one of ``names``.
    """
    names = list(names)
    if folder is None:
        return dict.fromkeys(names)
    try:
        return _found(folder, names)
    except OSError as error:
        raise ConfigurationError([f"{folder}: cannot be read: {error.strerror}"]) from None


def _found(folder: Path, names: list[str]) -> dict[str, Path | None]:
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: this folder of configuration does not exist"])
    found = {name: folder / name for name in names if (folder / name).exists()}
    misnamed = {
        file: meant
        for file in sorted(folder.iterdir())
        if file.suffix in (".yaml", ".yml")
        and file.name not in found
        and (meant := nearest(f"{file.stem}.yaml", names)) is not None
        and meant not in found
    }
    if misnamed:
        raise ConfigurationError(
            [f"{file}: this name is not read; did you mean {meant}?" for file, meant in misnamed.items()]
        )
    return {name: found.get(name) for name in names}
