"""One simulated miner: what befell it, and from who it is and that its truth at any instant."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import msgspec

from deployments.farm.faults import EXPECTED_FAILURE, Fault, FaultKind
from deployments.farm.hashing import Boot, Fates, Hashing, Stretch, fates_of
from deployments.farm.identity import Identity
from deployments.farm.models import HASHES_PER_D1, Nameplate, Preset
from deployments.farm.physics import DAY_S, Climate, Cooling, cooling, silicon, warm_up
from deployments.farm.shares import ShareStream
from deployments.farm.truth import BoardTruth, CreditTruth, FanTruth, PoolTruth, Truth

DEVFEE = 0.028
FEE_DIFFICULTY_DIVISOR = 16
_BOOT_S = 60.0
_TUNING_S = 1_800.0
_MINING_RESTART_S = 20.0
_OVERHEATING_INTAKE_C = 50.0
_OVERHEATING_OBSTRUCTION = 2.0
_LOGINS = ("vnish-cgi", "antminer-stock", "antminer-legacy")
_HELD_DUTY_PERCENT = 30.0
_HELD_CHIP_C = 90.0
_STUCK_DUTY_PERCENT = 36.0


class Glance(NamedTuple):
    """A miner at an instant, in little: one point of ``/metrics``."""

    hashrate_hs: float
    power_w: int
    chip_temp_c: float
    pcb_temp_c: float
    fan_duty_percent: float


class _Streams(NamedTuple):
    accepted: ShareStream
    rejected: ShareStream
    stale: ShareStream
    fee: ShareStream


class SimulatedMiner:
    """One miner. Everything it says follows from seed, index, faults, what it was told to do, and time; asking changes
    nothing. ``preset`` is the one that it was delivered with."""

    def __init__(self, identity: Identity, climate: Climate, *, seed: int, restart_days: float | None) -> None:
        self.identity = identity
        self.model: Nameplate = identity.variant.model
        self.faults: list[Fault] = []
        self._climate = climate
        self._seed = seed
        dice = random.Random(f"{seed}/{identity.index}")
        self.preset: Preset = dice.choice(self.model.presets)
        self.silicon = tuple(silicon(dice) for _ in range(self.model.boards))
        self.tuned = dice.random() < 0.8
        self._intake_offset_c = dice.uniform(0, 3)
        self._fan_trim = tuple(dice.uniform(0.97, 1.0) for _ in range(self.model.fans))
        self.hashing = Hashing(self.silicon, rejected=dice.uniform(0.001, 0.008), stale=dice.uniform(0.0002, 0.003))
        self._ping_ms = dice.randrange(5, 60)
        # Every miner has been up for some while, also where none restarts by itself any more.
        self._restart_s = (restart_days or 28.0) * DAY_S * dice.uniform(0.8, 1.2)
        self._restart_phase_s = dice.uniform(0, self._restart_s)
        self._restarts = restart_days is not None
        self._started: float | None = None
        self._chosen: list[tuple[float, Preset]] = []
        self._restarted: list[float] = []
        self._streams: tuple[float, _Streams] | None = None

    def running_since(self, now: float) -> None:
        """Fix the last natural restart before ``now``: a miner that does not restart by itself keeps it."""
        if not self._restarts:
            self._started = self._natural_restart(now)

    def change_faults(self, faults: list[Fault]) -> None:
        """Take another list of faults; what was derived from the old one is forgotten."""
        self.faults = faults
        self.hashing.change(faults)

    def choose_preset(self, preset: Preset, at: float) -> bool:
        """Save a preset, which holds from the next start of mining on; whether it is another than was saved."""
        if preset == self.chosen_preset(at):
            return False
        self._chosen.append((at, preset))
        self.hashing.change(self.faults)
        return True

    def chosen_preset(self, at: float) -> Preset:
        """The preset that is saved at an instant."""
        return next((preset for chosen, preset in reversed(self._chosen) if chosen <= at), self.preset)

    def restart_mining(self, at: float) -> None:
        """Begin to mine anew; faults that a restart cures are over."""
        self._restarted.append(at)
        self.change_faults(
            [
                msgspec.structs.replace(fault, end=at) if fault.until_restart and fault.span[0] < at else fault
                for fault in self.faults
            ]
        )

    def active(self, at: float) -> list[Fault]:
        """Faults on at an instant."""
        return [fault for fault in self.faults if fault.active(at)] if self.faults else []

    def boot(self, at: float) -> Boot:
        """The newest start before an instant: by itself, scripted, or because power came back."""
        natural = self._started if self._started is not None and self._started <= at else self._natural_restart(at)
        began, lasts = natural, _BOOT_S
        for fault in self.faults:
            started = fault.start if fault.kind == "reboot" else fault.end if fault.kind == "dead" else None
            if started is not None and began <= started <= at:
                began, lasts = started, fault.boot_s
        up_since = began
        for restarted in self._restarted:
            if began <= restarted <= at:
                began, lasts = restarted, _MINING_RESTART_S
        return Boot(began, began + lasts, up_since, self.chosen_preset(began))

    def truth(self, at: float) -> Truth:
        """What is true at an instant."""
        active = self.active(at)
        kinds = {fault.kind for fault in active}
        boot = self.boot(at)
        stretch = self.hashing.stretch(boot, at)
        powered = "dead" not in kinds
        board_hashes = self.hashing.delivered(stretch, at) if at >= boot.mines_from else stretch.delivered
        delivered = sum(board_hashes)
        boards, heat = self._boards(at, boot, stretch, board_hashes, active)
        hashrate = sum(board.hashrate_hs for board in boards)
        uptime = int(at - boot.up_since) if powered else 0
        fates = fates_of(stretch, delivered)
        pools = self._pools(boot, at, delivered, fates, active)
        user = pools[0]
        state, since = self._state(at, boot, stretch, kinds, boards)
        failure = self._failure(kinds)
        chips = [board.chip_temp_c for board in boards if board.chip_temp_c is not None]
        return Truth(
            miner_id=self.identity.miner_id,
            time=at,
            answering=failure is None,
            failure=failure,
            state=state,
            state_since=since,
            powered=powered,
            hashrate_hs=hashrate,
            hashrate_average_hs=delivered / (at - boot.at) if powered and at > boot.at else 0.0,
            hashrate_nominal_hs=boot.preset.hashrate_hs,
            power_w=sum(board.power_w for board in boards),
            power_limit_w=boot.preset.power_w,
            ambient_temp_c=heat.intake_c,
            chip_temp_avg_c=sum(chips) / len(chips) if chips else None,
            chip_temp_max_c=max(chips, default=None),
            pcb_temp_max_c=max((board.pcb_temp_c for board in boards if board.pcb_temp_c is not None), default=None),
            fan_duty_percent=heat.duty_percent,
            boards=boards,
            fans=self._fans(heat.duty_percent, active, powered=powered),
            pools=pools,
            shares_accepted=user.accepted,
            shares_rejected=user.rejected,
            shares_stale=user.stale,
            work_accepted_d1=user.work_accepted_d1,
            last_share_at=user.last_share_at,
            hardware_errors=sum(board.hardware_errors for board in boards),
            devfee_percent=100 * self._fee,
            accepted_fraction=(1 - self._fee) * stretch.fates.credited,
            credit=self._credit(boot, at, fates),
            uptime_s=uptime,
            booted_at=boot.at,
            hashes_delivered=delivered,
            unit_switched="unit_switched" in kinds,
            faults=tuple(fault.kind for fault in active),
        )

    def _state(
        self, at: float, boot: Boot, stretch: Stretch, kinds: set[FaultKind], boards: tuple[BoardTruth, ...]
    ) -> tuple[str, float]:
        """What it does, and since when."""
        lost = sum(board.lost for board in boards)
        if "dead" in kinds:
            return "stopped", stretch.start
        if "paused" in kinds and at >= boot.mines_from:
            return "paused", stretch.start
        if at < boot.mines_from:
            return "starting", boot.at
        if lost or "fan_lost" in kinds:
            return ("failed" if lost == len(boards) else "degraded"), stretch.start
        if not self.tuned and at < boot.mines_from + _TUNING_S:
            return "tuning", boot.mines_from
        return "mining", stretch.start

    def _failure(self, kinds: set[FaultKind]) -> str | None:
        """What a poll must come to; None where it is answered."""
        dialect = self.identity.variant.dialect
        harmless = {"http_500"} if dialect == "cgminer-socket" else set()
        failure = next((why for kind, why in EXPECTED_FAILURE.items() if kind in kinds - harmless), None)
        if failure is None and "wrong_password" in kinds and dialect in _LOGINS:
            return "auth"
        return failure

    def glance(self, at: float) -> Glance:
        """The little that the firmware keeps as history."""
        boot = self.boot(at)
        stretch = self.hashing.stretch(boot, at)
        boards, heat = self._boards(at, boot, stretch, stretch.delivered, self.active(at))
        return Glance(
            sum(board.hashrate_hs for board in boards),
            sum(board.power_w for board in boards),
            max((board.chip_temp_c for board in boards if board.chip_temp_c is not None), default=0.0),
            max((board.pcb_temp_c for board in boards if board.pcb_temp_c is not None), default=0.0),
            heat.duty_percent,
        )

    def accepted_work(self, start: float, stop: float) -> float:
        """What the user's pool accepts in ``[start, stop)``, in difficulty 1, over restarts: luck is in it."""
        found, end, boot = 0, stop, self.boot(stop)
        while True:
            found += self._accepted_since(boot, end) - self._accepted_since(boot, max(start, boot.at))
            if boot.at <= start:
                return float(found * self.model.difficulty)
            end, boot = boot.at, self.boot(boot.at - 1.0)  # not closer: restarts by themselves are at whole seconds

    def refused_ratio(self, start: float, stop: float) -> float:
        """Part of the shares of ``[start, stop)`` that the user's pool does not pay, over restarts; without luck."""
        paid, refused, end, boot = 0.0, 0.0, stop, self.boot(stop)
        while True:
            last, first = self.hashing.met_since(boot, end), self.hashing.met_since(boot, max(start, boot.at))
            paid += last.credited - first.credited
            refused += last.credit_rejected + last.credit_stale - first.credit_rejected - first.credit_stale
            if boot.at <= start:
                every = paid + refused  # below a share it is what is left of differences of great numbers
                return refused / every if self._shares(every) >= 1.0 else 0.0
            end, boot = boot.at, self.boot(boot.at - 1.0)

    def _accepted_since(self, boot: Boot, at: float) -> int:
        """Shares that the user's pool accepted from a boot to an instant before the next."""
        return self._streams_since(boot).accepted.count(self._shares(self.hashing.met_since(boot, at).credited))

    def _shares(self, delivered: float) -> float:
        """Shares that so many hashes are expected to find for the user."""
        return delivered * (1 - self._fee) / (self.model.difficulty * HASHES_PER_D1[self.model.algorithm])

    def _natural_restart(self, at: float) -> float:
        restarts = math.floor((at + self._restart_phase_s) / self._restart_s)
        return float(math.floor(restarts * self._restart_s - self._restart_phase_s))

    def _boards(
        self, at: float, boot: Boot, stretch: Stretch, delivered: tuple[float, ...], active: list[Fault]
    ) -> tuple[tuple[BoardTruth, ...], _Heat]:
        mining = stretch.mining if at >= boot.mines_from else (False,) * self.model.boards
        lost = {fault.board for fault in active if fault.kind == "board_lost"}
        share_w = boot.preset.power_w / self.model.boards
        ideal_hs = boot.preset.hashrate_hs / self.model.boards
        power = [
            round(share_w * (1 + board.power_ripple.at(at))) if on else 0
            for board, on in zip(self.silicon, mining, strict=True)
        ]
        heat = self._heat(at, boot, sum(power), active)
        boards = []
        for number, (board, on, watts, hashes) in enumerate(
            zip(self.silicon, mining, power, delivered, strict=True), start=1
        ):
            gone = number in lost
            # A board's own heat follows its share of the power; an idle one is as warm as the air.
            rise = heat.rise_c * board.heat_factor if on else 0.0
            boards.append(
                BoardTruth(
                    number=number,
                    mining=on,
                    lost=gone,
                    hashrate_hs=stretch.pace * board.hashrate(ideal_hs, at) if on else 0.0,
                    hashrate_nominal_hs=ideal_hs,
                    chip_temp_c=None if gone else heat.intake_c + rise,
                    chip_temp_min_c=None if gone else heat.intake_c + 0.75 * rise,
                    pcb_temp_c=None if gone else heat.intake_c + 0.62 * rise,
                    pcb_temp_min_c=None if gone else heat.intake_c + 0.36 * rise,
                    frequency_mhz=float(boot.preset.frequency_mhz) if on else 0.0,
                    voltage_v=boot.preset.voltage_mv / 1000 if on else 0.0,
                    power_w=watts,
                    hardware_errors=int(hashes / (ideal_hs * 3600) * board.errors_per_hour),
                    chips_red=board.chips_red,
                    chips_orange=board.chips_orange,
                    chips=self.model.chips_per_board,
                )
            )
        return tuple(boards), heat

    def _heat(self, at: float, boot: Boot, power_w: int, active: list[Fault]) -> _Heat:
        hot = any(fault.kind == "overheating" for fault in active)
        still = {fault.fan for fault in active if fault.kind == "fan_lost"}
        intake = self._climate.ambient(at) + self._intake_offset_c
        if hot:
            intake = max(intake, _OVERHEATING_INTAKE_C)
        balance = cooling(
            intake,
            power_w / self.model.power_w * warm_up(at - boot.mines_from),
            1 - len(still) / self.model.fans,
            _OVERHEATING_OBSTRUCTION if hot else 1.0,
            _STUCK_DUTY_PERCENT if any(fault.kind == "fans_slow" for fault in active) else None,
        )
        if power_w and any(fault.kind == "fans_held" for fault in active):
            balance = Cooling(_HELD_DUTY_PERCENT, _HELD_CHIP_C - intake)
        return _Heat(intake, balance.rise_c, balance.duty_percent)

    def _fans(self, duty: float, active: list[Fault], *, powered: bool) -> tuple[FanTruth, ...]:
        still = {fault.fan for fault in active if fault.kind == "fan_lost"}
        return tuple(
            FanTruth(
                number=number,
                running=powered and number not in still,
                # Tachometers count in steps of 30 rpm.
                speed_rpm=30 * round(self.model.fan_max_rpm * duty / 100 * trim / 30)
                if powered and number not in still
                else 0,
                max_rpm=self.model.fan_max_rpm,
            )
            for number, trim in enumerate(self._fan_trim)
        )

    def _streams_since(self, boot: Boot) -> _Streams:
        if self._streams is None or self._streams[0] != boot.at:
            key = (abs(self._seed), self.identity.index, int(boot.at * 1000) % 2**63)
            self._streams = (boot.at, _Streams(*(ShareStream((*key, kind)) for kind in range(4))))
        return self._streams[1]

    @property
    def _fee(self) -> float:
        return DEVFEE if self.identity.variant.is_vnish else 0.0

    def _credit(self, boot: Boot, at: float, met: Fates) -> CreditTruth:
        streams = self._streams_since(boot)
        accepted, last = streams.accepted.count_and_last(self._shares(met.credited))
        return CreditTruth(
            accepted=accepted,
            rejected=streams.rejected.count(self._shares(met.credit_rejected)),
            stale=streams.stale.count(self._shares(met.credit_stale)),
            work_accepted_d1=float(accepted * self.model.difficulty),
            last_share_at=None
            if last is None
            else self.hashing.when_met(boot, "credited", last / self._shares(1.0), at),
        )

    def _pools(self, boot: Boot, at: float, delivered: float, met: Fates, active: list[Fault]) -> tuple[PoolTruth, ...]:
        streams = self._streams_since(boot)
        difficulty = self.model.difficulty
        accepted, last = streams.accepted.count_and_last(self._shares(met.accepted))
        other = next((fault for fault in active if fault.kind == "pool_changed"), None)
        fee_difficulty = difficulty // FEE_DIFFICULTY_DIVISOR
        fee_hashes = fee_difficulty * HASHES_PER_D1[self.model.algorithm]
        fee, last_fee = streams.fee.count_and_last(delivered * DEVFEE / fee_hashes)
        stopped = any(fault.kind in ("paused", "dead") for fault in active) or at < boot.mines_from
        user = PoolTruth(
            slot=0,
            url=(other.url if other else None) or self.identity.pool_url,
            user=(other.user if other else None) or f"lodeline.{self.identity.miner_id}",
            is_fee=False,
            status="working" if stopped else "active",
            difficulty=difficulty,
            accepted=accepted,
            rejected=streams.rejected.count(self._shares(met.rejected)),
            stale=streams.stale.count(self._shares(met.stale)),
            work_accepted_d1=float(accepted * difficulty),
            last_share_at=None
            if last is None
            else self.hashing.when_met(boot, "accepted", last / self._shares(1.0), at),
            ping_ms=self._ping_ms,
        )
        spare = PoolTruth(
            slot=1, url="spare.pool.invalid:3333", user=user.user, is_fee=False, status="working",
            difficulty=0, accepted=0, rejected=0, stale=0, work_accepted_d1=0.0, last_share_at=None, ping_ms=0,
        )  # fmt: skip
        if not self._fee:
            return user, spare
        fee_at = None if last_fee is None else self.hashing.when_delivered(boot, last_fee / DEVFEE * fee_hashes, at)
        maker = PoolTruth(
            slot=2, url="DevFee", user="DevFee", is_fee=True, status=user.status,
            difficulty=fee_difficulty, accepted=fee, rejected=0, stale=0, work_accepted_d1=float(fee * fee_difficulty),
            last_share_at=fee_at, ping_ms=self._ping_ms + 30,
        )  # fmt: skip
        return user, spare, maker


class _Heat(NamedTuple):
    intake_c: float
    rise_c: float
    duty_percent: float
