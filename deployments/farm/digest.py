"""HTTP Digest as stock firmware asks for it: a nonce of one's own for some minutes, then ``stale``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from deployments.farm.http import Request, Response

REALM = "antMiner Configuration"
_NONCES_KEPT = 32
_PART = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class DigestDoor:
    """Lets in who knows user name and password. ``nonce_s``: how long a nonce is good for."""

    def __init__(self, username: str, password: str, *, nonce_s: float = 600.0) -> None:
        self._username = username
        self._login = _md5(username, REALM, password)
        self._nonce_s = nonce_s
        self._secret = _md5("nonces of", password)
        self._issued = 0
        self._nonces: dict[str, _Nonce] = {}

    def refusal(self, request: Request, now: float) -> Response | None:
        """The 401 for a request that proves nothing; None for one that may come in."""
        said = {
            name: quoted or plain for name, quoted, plain in _PART.findall(request.headers.get("authorization", ""))
        }
        if not said.keys() >= {"username", "nonce", "uri", "response", "nc", "cnonce", "qop"}:
            return self._unauthorised(now)
        uri = request.path + (f"?{request.query}" if request.query else "")
        proof = _md5(
            self._login, said["nonce"], said["nc"], said["cnonce"], said["qop"], _md5(request.method, said["uri"])
        )
        if said["uri"] != uri or said["username"] != self._username or said["response"] != proof:
            return self._unauthorised(now)
        nonce, count = self._nonces.get(said["nonce"]), int(said["nc"], 16)
        if nonce is None or now >= nonce.ends or count <= nonce.count:  # worn out, or sent once more by an onlooker
            return self._unauthorised(now, stale=True)
        nonce.count = count
        return None

    def _unauthorised(self, now: float, *, stale: bool = False) -> Response:
        self._issued += 1
        nonce = _md5(self._secret, str(self._issued))
        self._nonces[nonce] = _Nonce(now + self._nonce_s)
        while len(self._nonces) > _NONCES_KEPT:
            del self._nonces[next(iter(self._nonces))]
        return _challenge(nonce, stale=stale)


@dataclass(slots=True)
class _Nonce:
    ends: float
    count: int = 0


def _challenge(nonce: str, *, stale: bool) -> Response:
    said = f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"' + (", stale=true" if stale else "")
    return Response(401, b"<html>401 - Unauthorized</html>", "text/html", (("WWW-Authenticate", said),))


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
