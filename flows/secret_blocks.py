"""``${NAME}`` from a Prefect Secret block, where neither the environment nor the folder of secrets has it."""

from __future__ import annotations

from typing import Any, cast

import httpx
from prefect.blocks.system import Secret

from storage.errors import TryAgain


def from_secret_block(name: str) -> str | None:
    """Value of the Secret block ``name`` in lower case with dashes (MINER_PASSWORD: ``miner-password``).

    None where there is none. Blocks; call it from a thread without an event loop.

    Raises:
        TryAgain: the Prefect server does not answer.
    """
    block = name.lower().replace("_", "-")
    try:
        secret = Secret.load(block, _sync=True)  # type: ignore[call-arg]  # taken by Prefect's decorator
    except ValueError:  # Prefect's word for a block that does not exist
        return None
    except httpx.HTTPError as error:
        raise TryAgain(f"Secret block {block}: the Prefect server does not answer ({type(error).__name__})") from error
    value = cast("Secret[Any]", secret).get()
    return value if isinstance(value, str) else str(value)
