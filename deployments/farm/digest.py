"""HTTP Digest as stock firmware asks for it: one nonce for some minutes, then another, ``stale`` for the old."""

from __future__ import annotations

import hashlib
import re

from deployments.farm.http import Request, Response

REALM = "antMiner Configuration"
_PART = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class DigestDoor:
    """Lets in who knows user name and password. ``nonce_s``: how long a nonce is good for."""

    def __init__(self, username: str, password: str, *, nonce_s: float = 600.0) -> None:
        self._username = username
        self._login = _md5(username, REALM, password)
        self._nonce_s = nonce_s
        self._secret = _md5("nonces of", password)
        self._counts: dict[str, int] = {}

    def refusal(self, request: Request, now: float) -> Response | None:
        """The 401 for a request that proves nothing; None for one that may come in."""
        said = {
            name: quoted or plain for name, quoted, plain in _PART.findall(request.headers.get("authorization", ""))
        }
        nonce = self._nonce(now)
        if not said.keys() >= {"username", "nonce", "uri", "response", "nc", "cnonce", "qop"}:
            return _unauthorised(nonce)
        uri = request.path + (f"?{request.query}" if request.query else "")
        proof = _md5(
            self._login, said["nonce"], said["nc"], said["cnonce"], said["qop"], _md5(request.method, said["uri"])
        )
        if said["uri"] != uri or said["username"] != self._username or said["response"] != proof:
            return _unauthorised(nonce)
        count = int(said["nc"], 16)
        if said["nonce"] != nonce or count <= self._counts.get(nonce, 0):  # worn out, or sent once more by an onlooker
            return _unauthorised(nonce, stale=True)
        self._counts = {nonce: count}
        return None

    def _nonce(self, now: float) -> str:
        return _md5(self._secret, str(int(now // self._nonce_s)))


def _unauthorised(nonce: str, *, stale: bool = False) -> Response:
    said = f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"' + (", stale=true" if stale else "")
    return Response(401, b"<html>401 - Unauthorized</html>", "text/html", (("WWW-Authenticate", said),))


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
