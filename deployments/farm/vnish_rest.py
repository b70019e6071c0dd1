"""VNish REST, 1.2.7 and 1.3.4: paths, access and errors as the vendor's API description has them."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer, error
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import Truth
from deployments.farm.vnish_answers import boards, history, info, is_newer, miner_status, settings, summary

UNLOCK_ATTEMPTS = 5
UNLOCK_TIMEOUT_S = 60
HISTORY_MAX_S = 259_200
_HISTORY_POINTS_MAX = 2_880  # ours: a request for every second of three days would stop the farm for a minute

ROOT_HTML = b"""<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="UTF-8">
    <meta name="firmware" content="AnthillOS">
    <title>Firmware</title>
  </head>
  <body><div id="app"></div></body>
</html>
"""


class VnishRest:
    """The web server of one miner. Its state is what a login leaves behind: tokens and failed attempts."""

    def __init__(self, miner: SimulatedMiner) -> None:
        self._miner = miner
        self._newer = is_newer(miner)
        self._tokens: dict[str, float] = {}
        self._failed_unlocks: list[float] = []

    def respond(self, request: Request, truth: Truth) -> Response:
        """Answer a request at the instant of ``truth``."""
        if request.path == "/":
            return Response(200, ROOT_HTML, "text/html")
        if request.path.startswith("/cgi-bin/"):
            return Response(405)
        path = request.path.removeprefix("/api/v1")
        if path == request.path:
            return error(404, "Not found")
        if path == "/unlock":
            return self._unlock(request, truth) if request.method == "POST" else Response(405)
        if request.method == "POST" and (write := _WRITES.get(path)) is not None:
            return write(self, request, truth) if self._authorised(request, truth) else Response(401)
        read = {
            "/info": self._info,
            "/summary": self._summary,
            "/status": self._status,
            "/perf-summary": self._perf_summary,
            "/metrics": self._metrics,
            "/boards" if self._newer else "/chains": self._chains,
            "/auth-check": self._auth_check,
            "/settings": self._settings,
            "/autotune/presets": self._presets,
        }.get(path)
        if read is None:
            return error(404, "Not found")
        if request.method != "GET":
            return Response(405)
        return read(request, truth)

    def cacheable(self, request: Request) -> bool:
        """Whether the answer depends on nothing but the instant."""
        return request.path in _CACHEABLE and not request.query and request.method == "GET"

    def _info(self, _request: Request, truth: Truth) -> Response:
        return answer(info(self._miner, truth))

    def _summary(self, _request: Request, truth: Truth) -> Response:
        return answer({"miner": summary(self._miner, truth)})

    def _status(self, request: Request, truth: Truth) -> Response:
        status = miner_status(truth, self._newer)
        status |= {"restart_required": False, "reboot_required": False, "find_miner": False}
        return answer(status | {"unlocked": self._authorised(request, truth), "warranty": "active"})

    def _perf_summary(self, _request: Request, truth: Truth) -> Response:
        switcher = {
            "enabled": False, "top_preset": str(self._miner.model.presets[-1].power_w), "decrease_temp": 75,
            "rise_temp": 55, "check_time": 300, "autochange_top_preset": False, "ignore_fan_speed": False,
            "min_preset": str(self._miner.model.presets[0].power_w),
        }  # fmt: skip
        if not self._newer:
            switcher["power_delta"] = 0
        preset = self._preset(truth.power_limit_w)
        return answer({"current_preset": preset, "preset_switcher": switcher})

    def _metrics(self, request: Request, truth: Truth) -> Response:
        query = parse_qs(request.query)
        try:
            time_slice = int(query.get("time_slice", ["86400"])[0])
            step = int(query.get("step", ["900"])[0])
        except ValueError:
            return error(400, "time_slice and step are whole seconds")
        if time_slice < 0 or step < 1:
            return error(400, "time_slice must not be negative and step must be at least 1")
        time_slice = min(time_slice, HISTORY_MAX_S)
        step = max(step, time_slice // _HISTORY_POINTS_MAX)
        return answer(history(self._miner, truth, time_slice, step, newer=self._newer))

    def _chains(self, _request: Request, truth: Truth) -> Response:
        return answer(boards(self._miner, truth))

    def _auth_check(self, request: Request, truth: Truth) -> Response:
        return answer({}, 200 if self._authorised(request, truth) else 401)

    def _settings(self, request: Request, truth: Truth) -> Response:
        return answer(settings(self._miner, truth)) if self._authorised(request, truth) else Response(401)

    def _presets(self, request: Request, truth: Truth) -> Response:
        if not self._authorised(request, truth):
            return Response(401)
        untuned = {"name": "disabled", "pretty": "Disabled", "status": "untuned", "modded_psu_required": False}
        return answer([untuned, *(self._preset(preset.power_w) for preset in self._miner.model.presets)])

    def _preset(self, power_w: int) -> dict[str, Any]:
        preset = next(preset for preset in self._miner.model.presets if preset.power_w == power_w)
        return {
            "name": str(preset.power_w),
            "pretty": self._miner.model.preset_label(preset),
            "status": "tuned" if self._miner.tuned else "untuned",
            "modded_psu_required": False,
        }

    def _save(self, request: Request, truth: Truth) -> Response:
        """Of all settings the preset alone: the others are taken and change nothing."""
        try:
            wanted = json.loads(request.body)["miner"]["overclock"]["preset"]
        except (ValueError, KeyError, TypeError):
            return error(400, "body must be a JSON object with miner.overclock.preset")
        preset = next((one for one in self._miner.model.presets if str(one.power_w) == wanted), None)
        if preset is None:
            return error(400, f"there is no preset {wanted}")
        changed = self._miner.choose_preset(preset, truth.time)
        return answer({"restart_required": changed, "reboot_required": False})

    def _restart(self, _request: Request, truth: Truth) -> Response:
        self._miner.restart_mining(truth.time)
        return Response(200)

    def _unlock(self, request: Request, truth: Truth) -> Response:
        self._failed_unlocks = [at for at in self._failed_unlocks if at > truth.time - UNLOCK_TIMEOUT_S]
        if len(self._failed_unlocks) >= UNLOCK_ATTEMPTS:
            wait = int(self._failed_unlocks[0] + UNLOCK_TIMEOUT_S - truth.time) + 1
            return answer({"unlock_timeout": wait}, 429)
        try:
            given = json.loads(request.body)["pw"]
        except (ValueError, KeyError, TypeError):
            return error(500, "body must be a JSON object with the field pw")
        if given != self._miner.identity.password or "wrong_password" in truth.faults:
            self._failed_unlocks.append(truth.time)
            return answer({}, 403)
        up_since = self._miner.boot(truth.time).up_since
        token = hashlib.sha256(f"{self._miner.identity.api_key}/{up_since}/{truth.time}".encode()).hexdigest()[:32]
        self._tokens[token] = up_since
        return answer({"token": token})

    def _authorised(self, request: Request, truth: Truth) -> bool:
        """An API key, or a token of this boot: restarts forget tokens, so that a client must unlock again."""
        key = request.headers.get("x-api-key")
        if key is not None:
            return key == self._miner.identity.api_key and "wrong_password" not in truth.faults
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._tokens.get(token) == self._miner.boot(truth.time).up_since


_WRITES = {"/settings": VnishRest._save, "/mining/restart": VnishRest._restart}
_CACHEABLE = frozenset(f"/api/v1/{name}" for name in ("info", "summary", "perf-summary", "chains", "boards"))
