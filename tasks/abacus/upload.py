"""One file to the service: opened, sent in parts, joined, imported, each step noted before the next.

A part is noted once the service told the MD5 of what we sent; the upload is joined when all are there; its version
counts when the service's row count, and the rows it rejected, add up to ours. What a lost answer left behind over
there, an upload that nobody knows, holds no rows and is cancelled. A version that came out wrong is deleted before the
file is sent again.

``upload_file`` of the SDK is not used: it does the parts in threads whose errors nobody sees, and reports success.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

from storage.errors import NeedsHuman, TryAgain
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.journal import Batch, Journal, JournalFile
from tasks.abacus.registration import Registered

POLLS_S = 1_800.0
"""Longest wait for joining, and for importing; a later run waits on."""

_FIRST_POLL_S, _LONGEST_POLL_S = 0.5, 15.0
_JOINING = frozenset({"PENDING", "JOINING"})
_IMPORTING = frozenset({"PENDING", "UPLOADING", "IMPORTING", "CONVERTING", "INSPECTING"})

_log = logging.getLogger(__name__)


class Imported(NamedTuple):
    """Rows that are over there, and why others are not, by position in the file."""

    rows: int
    rejected: dict[int, str]


class _SendAgain(Exception):
    """The file has to be uploaded anew, and why."""


class Upload:
    """Sends the file of the batch that ``journal`` has under way.

    Args:
        tries: uploads of the file in one run, before somebody has to look. ``parts`` counts what was sent.
    """

    def __init__(self, abacus: Abacus, registered: Registered, file: JournalFile, tries: int) -> None:
        self._abacus = abacus
        self._registered = registered
        self._file = file
        self._tries = tries
        self.parts = 0

    def send(self, journal: Journal, batch: Batch, content: bytes) -> Imported:
        """Have ``content`` over there as one version, once.

        Raises:
            TryAgain: the service is away or slow; the next run goes on. NeedsHuman: it refuses, or it keeps coming out
                wrong.
        """
        why = ""
        for _ in range(self._tries):
            try:
                self._discard(journal, batch)
                self._open(journal, batch)
                if not batch.marked:
                    self._send_parts(journal, batch, content)
                self._join(journal, batch)
                return self._imported(batch)
            except _SendAgain as again:
                why = str(again)
                _log.warning("%s, batch %d: sent again: %s", self._registered.table, batch.number, why)
                self._forget(journal, batch)
        raise NeedsHuman(
            f"Batch {batch.number} of {self._registered.table} came out wrong {self._tries} times; last: {why}",
            remedy=f"Look at the dataset at Abacus.AI and at {self._file.folder}; the next export tries again",
        )

    def give_up(self, journal: Journal, batch: Batch) -> None:
        """Have nothing of the batch over there: it may be joined already, without our having noted that. An upload that
        is open is cancelled when the next is opened.
        """
        self._forget(journal, batch)
        self._discard(journal, batch)

    def _forget(self, journal: Journal, batch: Batch) -> None:
        if batch.dataset_version is not None:
            batch.discard = [*batch.discard, batch.dataset_version]
        batch.upload_id, batch.dataset_version, batch.parts, batch.marked = None, None, {}, False
        self._file.save(journal)

    def _discard(self, journal: Journal, batch: Batch) -> None:
        """Delete versions that came out wrong; one that is gone already was deleted by a run that was killed."""
        for version in batch.discard:
            self._unless_missing(f"deleting version {version}", methodcaller("delete_dataset_version", version))
        if batch.discard:
            batch.discard = []
            self._file.save(journal)

    def _open(self, journal: Journal, batch: Batch) -> None:
        if batch.upload_id is not None:
            return
        dataset, table = self._registered.dataset_id, self._registered.table
        for upload in self._abacus.call("listing uploads", lambda sdk: sdk.list_uploads()) or []:
            if upload.dataset_id == dataset:  # its answer was lost, or its file could not be sent
                self._unless_missing(f"cancelling {upload.upload_id}", methodcaller("cancel_upload", upload.upload_id))
        opened = self._abacus.told(
            f"opening an upload for {table}",
            lambda sdk: sdk.create_dataset_version_from_upload(dataset, file_format=batch.file_format),
        )
        batch.upload_id, batch.dataset_version = opened.upload_id, opened.dataset_version
        self._file.save(journal)

    def _send_parts(self, journal: Journal, batch: Batch, content: bytes) -> None:
        upload = batch.upload_id
        for number, offset in enumerate(range(0, batch.size, batch.part_bytes), start=1):
            part = content[offset : offset + batch.part_bytes]
            digest = hashlib.md5(part, usedforsecurity=False).hexdigest()
            if batch.parts.get(number) == digest:
                continue
            for _ in range(self._tries):
                try:
                    kept = self._abacus.call(f"part {number} of {upload}", partial(_upload_part, upload, number, part))
                except Refusal as refusal:
                    raise _SendAgain(str(refusal)) from refusal
                self.parts += 1
                if kept is not None and kept.md5 == digest:
                    batch.parts[number] = digest
                    self._file.save(journal)
                    break
            else:
                raise TryAgain(
                    f"{self._registered.table}: part {number} of {upload} arrived damaged {self._tries} times (MD5)"
                )

    def _join(self, journal: Journal, batch: Batch) -> None:
        upload = batch.upload_id
        if not batch.marked:
            try:
                self._abacus.call(f"completing {upload}", lambda sdk: sdk.mark_upload_complete(upload))
            except Refusal as refusal:
                if not refusal.is_there_already:  # it was marked, and the answer was lost
                    raise _SendAgain(str(refusal)) from refusal
            batch.marked = True
            self._file.save(journal)
        try:
            done = self._watch(f"joining {upload}", lambda sdk: sdk.describe_upload(upload), _JOINING)
        except Refusal as refusal:
            if refusal.is_missing and batch.dataset_version is not None:
                return  # forgotten after it was joined; its version tells
            raise _SendAgain(str(refusal)) from refusal
        if done.status != "COMPLETE":
            raise _SendAgain(f"{upload} ended as {done.status}")
        if done.dataset_version is not None and done.dataset_version != batch.dataset_version:
            batch.dataset_version = done.dataset_version
            self._file.save(journal)
        if batch.dataset_version is None:
            raise NeedsHuman(
                f"Abacus.AI does not say which version {upload} became", remedy="Delete that upload's version there"
            )

    def _imported(self, batch: Batch) -> Imported:
        """What became of the file.

        Raises:
            _SendAgain: rows are missing, and the service does not say why.
        """
        name = batch.dataset_version
        try:
            version = self._watch(f"importing {name}", lambda sdk: sdk.describe_dataset_version(name), _IMPORTING)
        except Refusal as refusal:
            if refusal.is_missing:
                raise _SendAgain(str(refusal)) from refusal
            raise
        if version.status != "COMPLETE":
            raise _SendAgain(f"{name} ended as {version.status}: {version.error}")
        told = _rejections(version.invalid_records)
        count = version.row_count
        if count is None or int(count) + len(told) != batch.rows or any(not 0 <= at < batch.rows for at in told):
            said = f"; invalidRecords: {version.invalid_records!r:.200}" if version.invalid_records else ""
            raise _SendAgain(f"{name} has {count} rows of {batch.rows}{said}")
        return Imported(int(count), told)

    # Asking

    def _unless_missing(self, what: str, function: Callable[[Any], Any]) -> None:
        try:
            self._abacus.call(what, function)
        except Refusal as refusal:
            if not refusal.is_missing:
                raise

    def _watch(self, what: str, ask: Callable[[Any], Any], going_on: frozenset[str]) -> Any:
        """Ask until the status is none of ``going_on``."""
        waited, pause = 0.0, _FIRST_POLL_S
        while True:
            found = self._abacus.told(f"{self._registered.table}: {what}", ask)
            if found.status not in going_on:
                return found
            if waited >= POLLS_S:
                raise TryAgain(f"{self._registered.table}: {what}: still {found.status} after {waited:.0f} s")
            self._abacus.wait(pause)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_POLL_S)


def _upload_part(upload: str | None, number: int, part: bytes, sdk: Any) -> Any:
    return sdk.upload_part(upload, number, io.BytesIO(part))  # read anew at every try


def _rejections(told: str | None) -> dict[int, str]:
    """Reasons by position in the file, as far as ``invalidRecords`` says them: a JSON list of {row, error}.

    The package says of that field no more than its name; another form gives none, and then the counts do not agree.
    """
    try:
        records = json.loads(told) if told else []
        return {int(record["row"]): str(record["error"]) for record in records}
    except (ValueError, TypeError, KeyError):
        return {}
