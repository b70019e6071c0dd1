"""One entry of the audit trail, its canonical bytes and its place in the chain.

The chain is over ``content_hash``, not over the content: where a secure deletion must take an identifier out of
``subject`` or ``detail``, the content goes and the chain still verifies. The salt is what keeps a guess at a content
that is gone from being checked against its hash.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping
from enum import StrEnum

import msgspec

FIRST_PREVIOUS = "0" * 64
"""``previous`` of the first entry that a host ever made."""

Detail = str | int | float | bool | None


class AuditKind(StrEnum):
    """What happened. Add a word where none fits; a word that was ever used stays."""

    BUCKET_PROVISIONED = "bucket_provisioned"
    RETENTION_CHANGED = "retention_changed"
    ACCESS_CHANGED = "access_changed"
    CONFIGURATION_CHANGED = "configuration_changed"
    SCHEMA_CHANGED = "schema_changed"
    ROLLED_UP = "rolled_up"
    COMPACTED = "compacted"
    VACUUMED = "vacuumed"
    SCRUBBED = "scrubbed"
    SET_ASIDE = "set_aside"
    PUT_BACK = "put_back"
    EXPIRED = "expired"
    ARCHIVED = "archived"
    VERIFIED = "verified"
    RESTORED = "restored"
    BACKED_UP = "backed_up"
    ERASURE_BEGUN = "erasure_begun"
    ERASED = "erased"
    OVERRIDE_SET = "override_set"
    OVERRIDE_ENDED = "override_ended"
    RESPONSE_PLANNED = "response_planned"
    RESPONSE_DONE = "response_done"
    RESPONSE_FAILED = "response_failed"
    RESPONSE_JUDGED = "response_judged"
    RESPONSE_SETTLED = "response_settled"
    WAREHOUSE_BUILT = "warehouse_built"
    DISK_LOW = "disk_low"
    TRAIL_CUT = "trail_cut"
    REDACTED = "redacted"
    RETRAINED = "retrained"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a trail. ``time_ms`` is Unix time; ``sequence`` rises by one from 1.

    ``subject`` and ``detail`` are None where a secure deletion took them; a ``redacted`` entry after it says so.
    """

    sequence: int
    time_ms: int
    host: str
    actor: str
    kind: str
    subject: str | None
    detail: dict[str, Detail] | None
    salt: str | None
    content_hash: str
    previous: str
    hash: str

    @property
    def is_redacted(self) -> bool:
        """Whether its content was taken out."""
        return self.subject is None

    def encoded(self) -> bytes:
        """The line of the trail, with its end."""
        return canonical(msgspec.to_builtins(self)) + b"\n"

    def redacted(self) -> AuditEntry:
        """The same entry without its content; its place in the chain is as before."""
        return msgspec.structs.replace(self, subject=None, detail=None, salt=None)

    def fault(self) -> str | None:
        """What does not fit within the entry itself; None: nothing."""
        if self.hash != _chain_hash(self):
            return "it was changed: its hash does not fit"
        if self.is_redacted:
            return None if self.detail is None and self.salt is None else "its content was taken out in part"
        if self.content_hash != _content_hash(self.salt or "", self.subject, self.detail):
            return "its content was changed: the hash of the content does not fit"
        return None


def new_entry(
    before: AuditEntry | None,
    *,
    time_ms: int,
    host: str,
    actor: str,
    kind: AuditKind,
    subject: str,
    detail: Mapping[str, Detail],
) -> AuditEntry:
    """The entry that follows ``before`` in the chain. NaN and infinities in ``detail`` become null."""
    content = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in detail.items()}
    salt = secrets.token_hex(16)
    entry = AuditEntry(
        sequence=1 if before is None else before.sequence + 1,
        time_ms=time_ms,
        host=host,
        actor=actor,
        kind=str(kind),
        subject=subject,
        detail=content,
        salt=salt,
        content_hash=_content_hash(salt, subject, content),
        previous=FIRST_PREVIOUS if before is None else before.hash,
        hash="",
    )
    return msgspec.structs.replace(entry, hash=_chain_hash(entry))


def decoded(line: bytes) -> AuditEntry | None:
    """The entry that ``line`` is, to the byte; None: it is none."""
    try:
        entry = msgspec.json.decode(line, type=AuditEntry)
    except msgspec.DecodeError:
        return None
    return entry if entry.encoded() == line else None


def canonical(document: object) -> bytes:
    """JSON with sorted keys, without blanks, in UTF-8: the same bytes for the same content."""
    return msgspec.json.encode(document, order="deterministic")


def _content_hash(salt: str, subject: str | None, detail: Mapping[str, Detail] | None) -> str:
    return _sha256([salt, subject, detail])


def _chain_hash(entry: AuditEntry) -> str:
    return _sha256(
        [
            entry.sequence, entry.time_ms, entry.host, entry.actor, entry.kind, entry.content_hash, entry.previous,
        ]
    )  # fmt: skip


def _sha256(document: object) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()
