"""What the lake asks of an object store that speaks S3: whole files put and got, prefixes listed, errors made plain.

Data files go through pyarrow's client and not through the Delta library's, which holds the interpreter for as long as a
request takes: a slow store would have stopped the polling of miners. The log is the Delta library's.

A PUT is durable and whole when it returns, so nothing is fsynced here, and nothing is locked: of two commits of the
same version the store refuses the second (``If-None-Match: *``), whose writer begins again.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pyarrow as pa
from deltalake.exceptions import DeltaError
from pyarrow.fs import AwsStandardS3RetryStrategy, FileInfo, FileSelector, FileType, S3FileSystem
from pydantic import SecretStr

from storage.errors import LodelineError, NeedsHuman, StoreError

CONNECT_S, ANSWER_S, TRIES = 5, 30, 3
"""Longest wait for a connection and for an answer, and how often one request is tried before the caller is told."""

READ_SCHEME = "lake"
"""What addresses of its files begin with for DuckDB, which would ask the network for an extension at ``s3``."""

_CODE = re.compile(r"<Code>(\w+)</Code>|AWS Error (\w+)")
_REFUSED = frozenset(
    {
        "ACCESSDENIED",
        "ALLACCESSDISABLED",
        "EXPIREDTOKEN",
        "INVALIDACCESSKEYID",
        "INVALIDCLIENTTOKENID",
        "INVALIDTOKEN",
        "SIGNATUREDOESNOTMATCH",
    }
)


@dataclass(frozen=True)
class ObjectStore:
    """One bucket and how to get in. Without keys it is what the machine has: ``AWS_...`` variables or its role."""

    bucket: str
    region: str
    endpoint: str | None = None
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None

    @cached_property
    def files(self) -> S3FileSystem:
        """Client for data files. Making it opens no connection."""
        address = urlsplit(self.endpoint or "")
        return S3FileSystem(
            access_key=_plain(self.access_key_id),
            secret_key=_plain(self.secret_access_key),
            session_token=_plain(self.session_token),
            region=self.region,
            scheme=address.scheme or "https",
            endpoint_override=address.netloc or None,
            connect_timeout=CONNECT_S,
            request_timeout=ANSWER_S,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES),
            allow_delayed_open=True,  # a small file is one request, not three
            check_directory_existence_before_creation=False,
        )

    @property
    def options(self) -> dict[str, str]:
        """The same for the Delta library. Holds secrets."""
        given = {
            "aws_region": self.region,
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": _plain(self.access_key_id),
            "aws_secret_access_key": _plain(self.secret_access_key),
            "aws_session_token": _plain(self.session_token),
            "allow_http": "true" if (self.endpoint or "").startswith("http://") else None,
            "connect_timeout": f"{CONNECT_S}s",
            "timeout": f"{ANSWER_S}s",
            "max_retries": str(TRIES - 1),
            "retry_timeout": f"{ANSWER_S}s",
        }
        return {name: value for name, value in given.items() if value is not None}


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


@dataclass(frozen=True)
class ObjectLocation:
    """A prefix or an object of the store, with as much of ``pathlib.Path`` as the lake needs."""

    store: ObjectStore = field(hash=False)
    key: str

    def __truediv__(self, name: str) -> ObjectLocation:
        return ObjectLocation(self.store, f"{self.key}/{name}".lstrip("/"))

    def __str__(self) -> str:
        return f"s3://{self.address}"

    @property
    def address(self) -> str:
        """Bucket and key."""
        return f"{self.store.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """:attr:`name` without its suffix."""
        return PurePosixPath(self.key).stem

    @property
    def suffix(self) -> str:
        """End of :attr:`name` from its last dot on."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> ObjectLocation:
        """The prefix above; the bucket is above itself."""
        return ObjectLocation(self.store, self.key.rpartition("/")[0])

    def absolute(self) -> ObjectLocation:
        """Itself."""
        return self

    def exists(self) -> bool:
        """Whether there is such an object."""
        return bool(self.store.files.get_file_info(self.address).type == FileType.File)

    def iterdir(self) -> Iterator[ObjectLocation]:
        """Objects and prefixes right below; nothing where there are none."""
        return (self / info.base_name for info in self._below(recursive=False))

    def sizes(self) -> dict[str, int]:
        """Bytes of every object below, by its key relative to this prefix. One request per 1,000 objects."""
        start = len(self.address) + 1
        return {info.path[start:]: info.size for info in self._below(recursive=True) if info.type == FileType.File}

    def _below(self, *, recursive: bool) -> list[FileInfo]:
        # A missing bucket would be an empty answer as well if a missing prefix were allowed here
        try:
            return list(self.store.files.get_file_info(FileSelector(self.address, recursive=recursive)))
        except FileNotFoundError:
            return []

    def age_s(self) -> float:
        """Seconds since it was put, by the clocks of the store and of this host.

        Raises:
            FileNotFoundError: there is no such object.
            LodelineError: the store does not tell.
        """
        with explained(str(self), self.store):
            found = self.store.files.get_file_info(self.address)
        if found.type != FileType.File:
            raise FileNotFoundError(str(self))
        return float(time.time() - found.mtime_ns / 1e9)

    def unlink(self) -> None:
        """Delete the object; none is well too.

        Raises:
            LodelineError: it cannot be deleted.
        """
        with contextlib.suppress(FileNotFoundError), explained(str(self), self.store):
            self.store.files.delete_file(self.address)

    def read_bytes(self) -> bytes:
        """All of the object."""
        return bytes(self.read_buffer())

    def read_buffer(self) -> pa.Buffer:
        """All of the object, without a copy.

        Raises:
            FileNotFoundError: there is none.
            LodelineError: it cannot be had.
        """
        with explained(str(self), self.store), self.store.files.open_input_file(self.address) as file:
            return file.read_buffer()

    def write_buffer(self, content: pa.Buffer) -> None:
        """Put the object, whole.

        Raises:
            LodelineError: it cannot be put.
        """
        with explained(str(self), self.store), self.store.files.open_output_stream(self.address) as stream:
            stream.write(content)


@contextlib.contextmanager
def explained(what: str, store: ObjectStore) -> Iterator[None]:
    """Turn errors of both clients into one of Lodeline that says whether waiting helps; FileNotFoundError stays.

    Raises:
        NeedsHuman: refused, or there is no such bucket.
        StoreError: any other failure.
    """
    try:
        yield
    except (LodelineError, FileNotFoundError):
        raise
    except (OSError, DeltaError) as error:
        raise explanation(what, store, str(error)) from None  # its text has keys and addresses of requests in it


def explanation(what: str, store: ObjectStore, text: str) -> LodelineError:
    """The error that ``text``, which one of the clients gave, comes to."""
    code = next((match[1] or match[2] for match in _CODE.finditer(text)), "")
    plain = code.replace("_", "").upper()
    if plain in _REFUSED or "403 Forbidden" in text or "401 Unauthorized" in text:
        return NeedsHuman(
            f"{what}: the object store refuses the credentials ({code or '403'})",
            remedy="Check LODELINE_LAKE__ACCESS_KEY_ID and LODELINE_LAKE__SECRET_ACCESS_KEY, and that they may list, "
            f"read, write and delete in bucket {store.bucket!r}",
        )
    if plain == "NOSUCHBUCKET":
        return NeedsHuman(
            f"{what}: there is no bucket {store.bucket!r}", remedy="Make it, or correct LODELINE_LAKE__URI"
        )
    return StoreError(f"{what}: {_in_one_line(text)}")


def _in_one_line(text: str) -> str:
    """The text without colours, XML and line breaks."""
    plain = re.sub(r"\x1b\[\d+m|↳|<[?]xml.*", " ", text, flags=re.DOTALL)
    return " ".join(plain.split())[:300]
