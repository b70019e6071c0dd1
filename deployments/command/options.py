"""Options that several commands share, so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Folder with data_collection_config.yaml, data_retention_config.yaml and abacus_integration_config.yaml; "
        "docs/configuration.md says what is in them.",
        envvar="LODELINE_CONFIG",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
