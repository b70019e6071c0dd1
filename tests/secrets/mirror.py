"""A service that repeats whatever it was told, and its callers' secrets in every way that they may be written."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from deployments.farm.http import Request, Response

MODES = ("error 200", "data 200", "list 200", "page 200", "401", "403", "404", "410", "429", "500", "302")
"""What it answers; each with all that it knows."""

TOKEN = "planted-token-6f1c9a"
"""What it lets in with, where somebody logs in."""


def forms(secret: str) -> dict[str, str]:
    """The ways that a server, a client or a log may write ``secret``, by name."""
    return {
        "plain": secret,
        "JSON": json.dumps(secret)[1:-1],
        "JSON without escapes": json.dumps(secret, ensure_ascii=False)[1:-1],
        "URL": quote(secret, safe=""),
        "URL path": quote(secret),
        "URL form": quote_plus(secret),
        "base64": b64encode(secret.encode()).decode(),
    }


def echo(request: Request, secrets: Iterable[str]) -> str:
    """Words, none of them behind a name that would give it away."""
    target = f"{request.path}?{request.query}"
    words = [target, unquote(target), request.body.decode("latin-1"), *request.headers.values()]
    for value in request.headers.values():
        try:
            words.append(b64decode(value.rpartition(" ")[2], validate=True).decode())
        except (binascii.Error, ValueError):
            continue
    if any(TOKEN in value for value in request.headers.values()):
        secrets = [*secrets, TOKEN]
    words += [form for secret in secrets for form in forms(secret).values()]
    return " ".join(words)


def respond(request: Request, mode: str, secrets: Iterable[str]) -> Response:
    """The answer of ``mode`` to ``request``."""
    said = echo(request, secrets)
    if request.path.endswith("/unlock"):
        return Response(200, json.dumps({"token": TOKEN}).encode())
    status = {"token": TOKEN, "what": said}
    match mode:
        case "error 200":
            refused = {"error_code": 1001, "error_message": said}
            named = dict.fromkeys(("error", "err", "message", "msg", "result"), said)
            return _json({**named, "code": 12001, "status": refused, "success": False})
        case "data 200":
            return _json({**_data(said), **status})
        case "list 200":
            return _json([said, {"id": "bitcoin", "name": said, "current_price": said}])
        case "page 200":
            return Response(200, f"<!DOCTYPE html><p>{said}</p>".encode(), "text/html")
        case "302":
            place = quote(said, safe="/?=&%")
            return Response(302, said.encode(), headers=(("Location", f"http://127.0.0.1:9/{place}"),))
        case "401":
            challenge = f'Digest realm="antMiner Configuration", nonce="{b64encode(b"n").decode()}", qop="auth"'
            return Response(401, said.encode(), "text/plain", headers=(("WWW-Authenticate", challenge),))
        case _:
            return Response(int(mode), json.dumps(status).encode(), headers=(("Retry-After", "5"),))


def _json(value: Any) -> Response:
    return Response(200, json.dumps(value).encode())


def _data(said: str) -> dict[str, Any]:
    """Parts of every service's answers, so that much of it is taken for data."""
    price = {"usd": 64_000.0, "usd_market_cap": said, "last_updated_at": 1_790_000_000, "note": said}
    return {
        "bitcoin": price, "litecoin": price, "note": said,
        "prices": [[1_790_000_000_000, 64_000.0], [1_790_000_100_000, 64_001.0]],
        "user": {"hash_rate": 1.0, "total_rewards": said}, "workers": {"farm.w1": {"hash_rate": 1.0, "note": said}},
        "data": {"hashrate": 1.0, "note": said, "coin": "LTC", "balance": [], "data": [], "balances": {"LTC": said}},
        "status": {"error_code": 0, "error_message": None, "credit_count": 1, "notice": said},
        "code": 0, "message": said, "success": True, "result": {"note": said},
        "hash_rate_info": {"name": "w1", "hash_rate": 1.0, "note": said}, "scrypt": {"name": "scrypt", "note": said},
        "miner": {"hr_realtime": 1.0, "pools": [{"url": "stratum+tcp://p", "user": "farm.w1", "pass": said}]},
        "STATS": [{"note": said}],
        "algo": said,
        "pools": [{"url": "stratum+tcp://p", "user": "farm.w1", "pass": said}],
    }  # fmt: skip
