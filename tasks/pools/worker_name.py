"""Names of workers in one form: what a pool calls one, and what stands in a miner's configuration, must meet."""

from __future__ import annotations

from tasks.normalize.identifier import text


def worker_id(account: str | None, name: str) -> str:
    """``account.worker`` in lower case.

    Pools write workers with and without the account, some of them both ways (reference/domain.md 1.3, 1.5): it is put
    before the name unless it is there. Inner dots belong to the worker's name.
    """
    plain = (text(name) or "").strip().lower()
    if account is None:
        return plain
    prefix = account.strip().lower()
    return plain if plain == prefix or plain.startswith(f"{prefix}.") else f"{prefix}.{plain}"


def account_of(user: str) -> str:
    """The account in ``account.worker``, or in a bare account."""
    return user.strip().lower().partition(".")[0]
