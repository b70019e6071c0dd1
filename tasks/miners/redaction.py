"""Taking secrets out of what a miner said, without changing anything else of it.

An answer is kept as text, broken or not, so it is searched as text: no parser has to agree that it is JSON. Two nets,
one behind the other: values known to be secret are masked wherever and however they are written, and whatever is named
like a secret is masked though nobody knows it. Users of pools stay: who is paid is no secret to whom keeps the books.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

MASK = "***"

_WORDS = r"password|passwd|passphrase|passcode|secret|token|api[ _-]?key|authori[sz]ation|credential|private[ _-]?key"
_NAME = rf"(?:(?i:{_WORDS})|(?<![a-zA-Z])(?i:pass|pwd|pw|psk)|(?<=[a-z])(?:Pass|Pwd))s?[0-9]*"
_NAMED = re.compile(rf"{_NAME}\Z")
_TOKEN = re.compile(r'"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)|[{}\[\],:]|[^\s"{}\[\],:]+|\s+', re.DOTALL)
_LOOSE = re.compile(
    rf"({_NAME}[\"'\\]*\s*[:=>]\s*(?:(?i:basic|bearer|digest)\s+)?)"
    r"(?:(\")(?:[^\"\\]|\\.)*(?:\"|\\?\Z)|(\\+\").*?(?:\\+\"|\Z)|(')[^']*(?:'|\Z)|[^\s\"'\\,&;|{}\[\]<>]+)",
    re.DOTALL,
)
_USERINFO = re.compile(r"(://[^\s/:@\"\\]*):[^\s/@\"\\]*@")
_HINTS = (b"pass", b"pw", b"psk", b"secret", b"token", b"key", b"auth", b"cred", b"@", b"\\u")
_TO_PRIVATE = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}
_FROM_PRIVATE = {private: escaped for escaped, private in _TO_PRIVATE.items()}
_SHORTEST_KNOWN = 3
"""A shorter known value is masked by its name only: as text it is everywhere, and would take readings with it."""
_SURE = 6
"""A known value shorter than this is masked where it is a word of its own: 1234 is no secret in the counter 812345."""

_UNRECORDED = frozenset({
    "unlock", "lock", "auth", "authorize", "login", "logout", "signin", "session", "sessions", "settings", "luci",
    "token", "tokens", "refresh", "api-keys", "apikeys", "password", "passwd", "credentials", "backup", "restore",
})  # fmt: skip


def is_recorded(path: str) -> bool:
    """Whether the answer of ``path`` may be kept at all: nothing that lets in, and no settings as a whole."""
    words = (part.partition(".")[0] for part in re.split(r"[/?&=;\s]+", path.lower()))
    return not any(word in _UNRECORDED or _NAMED.search(word) for word in words)


def as_text(body: bytes) -> str:
    """``body`` as text; a byte that is no UTF-8 becomes one for private use, which :func:`as_bytes` turns back."""
    return body.decode("utf-8", "surrogateescape").translate(_TO_PRIVATE)


def as_bytes(text: str) -> bytes:
    """The bytes that :func:`as_text` was given."""
    return text.translate(_FROM_PRIVATE).encode("utf-8", "surrogateescape")


class Redaction:
    """Masks the secrets of one miner: ``known`` values, and what is named like one."""

    def __init__(self, known: Iterable[SecretStr | str | None] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        """The longest first. Every miner has these: a tuple, and shared by miners of one password."""
        for value in known:
            if value is not None:
                self.learn(value.get_secret_value() if isinstance(value, SecretStr) else value)

    def learn(self, secret: str) -> None:
        """Mask ``secret`` from now on, as it is and in every way it may be written."""
        if len(secret) >= _SHORTEST_KNOWN and secret not in self._forms:
            known = tuple(sorted({*self._forms, *_forms_of(secret)}, key=lambda form: (-len(form), form)))
            self._forms = _shared(known)

    def of_request(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Learn what a request lets itself in with."""
        for name, value in headers:
            if name.lower() in (b"authorization", b"x-api-key", b"cookie"):
                said = value.decode("latin-1")
                if not said.lower().startswith("digest "):  # a proof, good for one request, and new at each
                    self.learn(said)
                    self.learn(said.partition(" ")[2])

    def text(self, body: bytes) -> str:
        """``body`` as text with its secrets masked."""
        text = as_text(body)
        for form in self._forms:
            if form in text:
                text = (
                    text.replace(form, MASK)
                    if len(form) >= _SURE
                    else re.sub(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])", MASK, text)
                )
        low = body.lower()
        if not any(hint in low for hint in _HINTS):
            return text  # nearly every answer of telemetry: a tenth of the time
        return _USERINFO.sub(rf"\1:{MASK}@", _LOOSE.sub(_mask, _masked(text)))


@lru_cache(maxsize=1_024)
def _forms_of(secret: str) -> tuple[str, ...]:
    """``secret``, and every way it may be written."""
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return (
        secret,
        *in_json,
        *(json.dumps(form, ensure_ascii=False)[1:-1] for form in in_json),  # a request repeated as text of JSON
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        b64encode(secret.encode()).decode("ascii"),
    )


@lru_cache(maxsize=1_024)
def _shared(forms: tuple[str, ...]) -> tuple[str, ...]:
    """The same for all who know the same."""
    return forms


def _mask(found: re.Match[str]) -> str:
    quote_of = found[2] or found[3] or found[4] or ""
    return f"{found[1]}{quote_of}{MASK}{quote_of}"


def _masked(text: str) -> str:
    """``text`` with the values of names like ``password`` masked, whole objects and lists too, cut off ones as well."""
    out: list[str] = []
    name = ""
    named = False  # a name like that, then a colon, came just before
    depth = 0  # inside a value that is to be masked
    for piece in _TOKEN.findall(text):
        if piece.isspace():
            out.append(piece)
        elif depth:
            depth += (piece in ("{", "[")) - (piece in ("}", "]"))
            out.append(piece if piece in "{}[],:" else f'"{MASK}"')
        elif named:
            named = False
            if piece in ("{", "["):
                depth = 1
                out.append(piece)
            elif piece.lower() in ("basic", "bearer", "digest"):
                named = True
                out.append(piece)
            elif piece in "}],:":
                out.append(piece)
            else:
                out.append(piece if piece == "null" else f'"{MASK}"')
        else:
            out.append(piece)
            named = piece == ":" and _NAMED.search(name) is not None
            name = _spelled(piece)
    return "".join(out)


def _spelled(piece: str) -> str:
    """A name without its quotes and escapes."""
    bare = piece.strip("\"'")
    if "\\" in bare:
        try:
            return str(json.loads(f'"{bare}"'))
        except ValueError:
            return bare.replace("\\", "")
    return bare
