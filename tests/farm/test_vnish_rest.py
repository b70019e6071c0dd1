"""The REST dialect, asked by stock httpx: as the vendor describes it, as a real miner said it, as the truth has it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deployments.farm import MODELS, Farm, Fault, Identity, variants
from deployments.farm.vnish_answers import scaled
from deployments.farm.vnish_rest import UNLOCK_ATTEMPTS, UNLOCK_TIMEOUT_S
from tests.farm import vendor
from tests.farm.clock import NOON, Clock

REST = variants(["vnish-rest"])
FAULTS = (
    None,
    Fault(kind="board_lost", board=1, start=NOON - 60),
    Fault(kind="fan_lost", fan=2, start=NOON - 60),
    Fault(kind="paused", start=NOON - 60),
    Fault(kind="reboot", start=NOON - 1, boot_s=20),
    Fault(kind="reboot", start=NOON - 10, boot_s=20),
    Fault(kind="unit_switched", start=NOON - 60),
    Fault(kind="overheating", start=NOON - 60),
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def farm(clock):
    async with Farm(len(REST), port=0, clock=clock, mix=REST) as farm:
        yield farm


@pytest.fixture
async def client():
    async with httpx.AsyncClient() as client:
        yield client


async def read(client: httpx.AsyncClient, identity: Identity, path: str, **more: Any) -> Any:
    answer = await client.get(f"{identity.base_url}/api/v1{path}", **more)
    assert answer.status_code == 200, path
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def paths(identity: Identity) -> list[str]:
    chips = "/boards" if identity.variant.firmware == "1.3.4" else "/chains"
    return ["/info", "/summary", "/status", "/perf-summary", "/metrics", chips, "/settings", "/autotune/presets"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind if fault else "whole")
async def test_answers_are_as_the_vendor_describes_them(farm, client, fault):
    for identity in farm.miners:
        if fault is not None:
            farm.inject(identity.miner_id, fault)
        for path in paths(identity):
            value = await read(client, identity, path, headers={"x-api-key": identity.api_key})
            if path in ("/boards", "/chains"):  # hundreds of chips, all alike
                value = [{**board, "chips": board["chips"][:8] + board["chips"][-2:]} for board in value]
            vendor.check(identity.variant.firmware, path, value)


async def test_keys_are_those_of_a_real_miner(farm, client):
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__

    identity = next(one for one in farm.miners if one.variant.firmware == "1.2.7")
    for name in ("info", "summary", "perf-summary"):
        assert shape(await read(client, identity, f"/{name}")) == shape(vendor.recorded(name))
    presets = await read(client, identity, "/autotune/presets", headers={"x-api-key": identity.api_key})
    assert shape(presets[1:]) == shape(vendor.recorded("autotune/presets")[1:])


async def test_the_invariants_of_a_real_summary_hold(farm, client):
    """Checked on the recording first: board sums are the totals, power is whole watts, the fee is its percentage."""

    def check(miner: Any, rel: float) -> None:
        chains = miner["chains"]
        assert sum(chain["hashrate_ideal"] for chain in chains) == pytest.approx(miner["hr_nominal"], rel=rel)
        assert sum(chain["hashrate_rt"] for chain in chains) == pytest.approx(miner["hr_realtime"], rel=rel)
        assert sum(chain["power_consumption"] for chain in chains) == miner["power_consumption"]
        assert sum(chain["hw_errors"] for chain in chains) == miner["hw_errors"]
        assert max(chain["chip_temp"]["max"] for chain in chains) == miner["chip_temp"]["max"]
        assert min(chain["pcb_temp"]["min"] for chain in chains) == miner["pcb_temp"]["min"]
        assert miner["instant_hashrate"] == pytest.approx(miner["hr_realtime"] / 1000, rel=1e-5)
        assert miner["average_hashrate"] == pytest.approx(miner["hr_average"] / 1000, rel=1e-5)
        assert miner["devfee"] == pytest.approx(miner["hr_average"] * miner["devfee_percent"] / 100, rel=1e-2)
        assert miner["cooling"]["fan_num"] == len(miner["cooling"]["fans"])

    for identity in farm.miners:
        check((await read(client, identity, "/summary"))["miner"], rel=1e-7)
    check(vendor.recorded("summary")["miner"], rel=1e-6)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind if fault else "whole")
async def test_the_summary_says_what_is_true(farm, client, fault):
    for identity in farm.miners:
        if fault is not None:
            farm.inject(identity.miner_id, fault)
        truth = farm.truth(identity.miner_id)
        miner = (await read(client, identity, "/summary"))["miner"]
        if fault is not None and fault.start == NOON - 1:
            assert miner is None
            continue
        unit = {"GH/s": 1e9, "MH/s": 1e6}[(await read(client, identity, "/info"))["hr_measure"]]
        assert miner["hr_realtime"] * unit == pytest.approx(truth.hashrate_hs, rel=1e-6)
        assert miner["hr_average"] * unit == pytest.approx(truth.hashrate_average_hs, rel=1e-6)
        assert miner["hr_nominal"] * unit == pytest.approx(truth.hashrate_nominal_hs, rel=1e-6)
        assert miner["power_consumption"] == truth.power_w
        assert miner["chip_temp"]["max"] == pytest.approx(truth.chip_temp_max_c, abs=0.5)
        assert miner["pcb_temp"]["max"] == pytest.approx(truth.pcb_temp_max_c, abs=0.5)
        assert miner["cooling"]["fan_duty"] == pytest.approx(truth.fan_duty_percent, abs=0.5)
        for fan, said in zip(truth.fans, miner["cooling"]["fans"], strict=True):
            assert (said["rpm"], said["status"]) == (fan.speed_rpm, "ok" if fan.running else "lost")
        for board, said in zip(truth.boards, miner["chains"], strict=True):
            assert said["id"] == board.number
            assert said["hashrate_rt"] * unit == pytest.approx(board.hashrate_hs, rel=1e-6)
            assert said["status"]["state"] == ("failure" if board.lost else "mining" if board.mining else "stopped")
        for pool, said in zip(truth.pools, miner["pools"], strict=True):
            assert (said["accepted"], said["rejected"], said["stale"]) == (pool.accepted, pool.rejected, pool.stale)
            assert said["diffa"] == pool.work_accepted_d1
            assert (said["pool_type"] == "DevFee") == pool.is_fee
        assert truth.shares_accepted == sum(
            pool["accepted"] for pool in miner["pools"] if pool["pool_type"] == "UserPool"
        )


async def test_the_unit_is_gh_for_sha256_and_mh_for_scrypt_until_it_is_switched(farm, client):
    for identity in farm.miners:
        before = await read(client, identity, "/info"), (await read(client, identity, "/summary"))["miner"]
        assert before[0]["hr_measure"] == ("GH/s" if before[0]["algorithm"] == "sha256d" else "MH/s")
        farm.inject(identity.miner_id, "unit_switched")
        after = await read(client, identity, "/info"), (await read(client, identity, "/summary"))["miner"]
        assert {before[0]["hr_measure"], after[0]["hr_measure"]} == {"GH/s", "MH/s"}
        factor = 1000 if before[0]["hr_measure"] == "GH/s" else 1 / 1000
        for key in ("hr_realtime", "hr_average", "hr_nominal", "hr_stock"):
            assert after[1][key] == pytest.approx(before[1][key] * factor, rel=1e-3)


async def test_chips_sum_to_their_board(farm, client):
    for identity in farm.miners:
        truth = farm.truth(identity.miner_id)
        boards = await read(client, identity, paths(identity)[5])
        for board, said in zip(truth.boards, boards, strict=True):
            unit = 1e9 if identity.variant.model.algorithm == "sha256d" else 1e6
            assert len(said["chips"]) == board.chips
            assert sum(chip["hr"] for chip in said["chips"]) * unit == pytest.approx(board.hashrate_hs, rel=1e-4)
            assert sum(chip["grade"] == "red" for chip in said["chips"]) == board.chips_red


async def test_each_version_has_its_own_chip_list_and_no_cgi(farm, client):
    for identity in farm.miners:
        other = {"1.2.7": "/boards", "1.3.4": "/chains"}[identity.variant.firmware]
        answer = await client.get(f"{identity.base_url}/api/v1{other}")
        assert (answer.status_code, list(answer.json())) == (404, ["err"])
        assert (await client.get(f"{identity.base_url}/cgi-bin/stats.cgi")).status_code == 405
        assert (await client.get(f"{identity.base_url}/elsewhere")).status_code == 404
        assert (await client.post(f"{identity.base_url}/api/v1/summary")).status_code == 405
        assert 'name="firmware" content="AnthillOS"' in (await client.get(identity.base_url)).text


async def test_history_is_on_its_grid_and_true(farm, client):
    identity = farm.miners[0]
    farm.inject(identity.miner_id, Fault(kind="dead", start=NOON - 3000, end=NOON - 2000))
    farm.inject(identity.miner_id, Fault(kind="board_lost", board=2, start=NOON - 1000, end=NOON - 500))
    value = await read(client, identity, "/metrics", params={"time_slice": 7200, "step": 300})
    times = [record["time"] for record in value["metrics"]]
    assert times == [at for at in range(int(NOON) - 7200, int(NOON) + 1, 300) if not NOON - 3000 <= at < NOON - 2000]
    for record in value["metrics"]:
        truth = farm.truth(identity.miner_id, record["time"])
        assert record["data"]["hashrate"] * 1e9 == pytest.approx(truth.hashrate_hs, rel=1e-6)
        assert record["data"]["power_consumption"] == truth.power_w
        assert record["data"]["chip_max_temp"] == pytest.approx(truth.chip_temp_max_c, abs=0.5)
    assert value["annotations"] == [
        {"time": NOON - 2000, "data": {"type": "start"}},
        {"time": NOON - 1000, "data": {"type": "disable_chain", "chain_id": 2}},
        {"time": NOON - 500, "data": {"type": "enable_chain", "chain_id": 2}},
    ]


async def test_history_reaches_back_three_days_and_no_further(farm, client):
    value = await read(client, farm.miners[0], "/metrics", params={"time_slice": 900_000, "step": 3600})
    assert len(value["metrics"]) == 73
    by_default = await read(client, farm.miners[0], "/metrics")
    assert len(by_default["metrics"]) == 97
    answer = await client.get(f"{farm.miners[0].base_url}/api/v1/metrics", params={"step": "often"})
    assert answer.status_code == 400


async def unlock(client: httpx.AsyncClient, identity: Identity, password: str) -> httpx.Response:
    return await client.post(f"{identity.base_url}/api/v1/unlock", json={"pw": password})


async def test_a_password_brings_a_token_that_a_restart_forgets(farm, client, clock):
    for identity in farm.miners[:2]:
        presets = f"{identity.base_url}/api/v1/autotune/presets"
        refused = await client.get(presets)
        assert (refused.status_code, refused.content) == (401, b"")
        unlocked = await unlock(client, identity, identity.password)
        vendor_like = unlocked.json()
        assert (unlocked.status_code, len(vendor_like["token"])) == (200, 32)
        headers = {"authorization": f"Bearer {vendor_like['token']}"}
        assert (await client.get(presets, headers=headers)).status_code == 200
        assert (await read(client, identity, "/status", headers=headers))["unlocked"] is True
        assert (await read(client, identity, "/status"))["unlocked"] is False
        farm.inject(identity.miner_id, "reboot")
        assert (await client.get(presets, headers=headers)).status_code == 401


async def test_each_miner_has_its_own_password_and_key(farm, client):
    first, second = farm.miners[:2]
    assert (await unlock(client, second, first.password)).status_code == 403
    answer = await client.get(f"{second.base_url}/api/v1/settings", headers={"x-api-key": first.api_key})
    assert answer.status_code == 401


async def test_too_many_wrong_passwords_lock_the_door_for_a_while(farm, client, clock):
    identity = farm.miners[0]
    for _ in range(UNLOCK_ATTEMPTS):
        assert (await unlock(client, identity, "wrong")).status_code == 403
    locked = await unlock(client, identity, identity.password)
    assert locked.status_code == 429
    assert 0 < locked.json()["unlock_timeout"] <= UNLOCK_TIMEOUT_S + 1
    vendor.check("1.2.7", "/unlock", locked.json(), method="post", status=429)
    clock.now += UNLOCK_TIMEOUT_S + 1
    assert (await unlock(client, identity, identity.password)).status_code == 200


async def test_an_unlock_without_a_password_is_an_error(farm, client):
    answer = await client.post(f"{farm.miners[0].base_url}/api/v1/unlock", content=b"pw=admin")
    assert (answer.status_code, list(answer.json())) == (500, ["err"])


@pytest.mark.parametrize(
    ("number", "words"), [(262_144, "262K"), (16_384, "16.4K"), (1_048_576, "1.05M"), (512, "512"), (8192, "8.19K")]
)
def test_difficulties_are_worded_as_the_firmware_words_them(number, words):
    """The first two stand in the recording."""
    assert scaled(number) == words


def test_preset_labels_are_worded_as_the_firmware_words_them():
    s21, l7 = MODELS["ANTMINER_S21_PRO"], MODELS["ANTMINER_L7"]
    assert s21.preset_label(s21.presets[1]) == "2800 watt ~ 188 TH"
    assert l7.preset_label(l7.presets[2]) == "3250 watt ~ 9300 MH"


# What a miner is told to do


async def told(
    client: httpx.AsyncClient, identity: Identity, path: str, body: object = None, **more: Any
) -> httpx.Response:
    return await client.post(f"{identity.base_url}/api/v1{path}", json=body, **more)


async def test_a_preset_holds_from_the_next_start_of_mining_and_the_miner_stays_up(farm, client, clock):
    identity = farm.miners[0]
    key = {"headers": {"x-api-key": identity.api_key}}
    token = (await told(client, identity, "/unlock", {"pw": identity.password})).json()["token"]
    presets = [one["name"] for one in await read(client, identity, "/autotune/presets", **key)][1:]
    before = farm.truth(identity.miner_id)
    other = next(name for name in presets if int(name) < before.power_limit_w)
    wanted = {"miner": {"overclock": {"preset": other}}}
    for _ in range(2):
        saved = await told(client, identity, "/settings", wanted, **key)
        assert saved.json()["reboot_required"] is False
    assert saved.json()["restart_required"] is False, "it was saved already"
    clock.now += 30
    assert farm.truth(identity.miner_id).power_limit_w == before.power_limit_w
    assert (await read(client, identity, "/settings", **key))["miner"]["overclock"]["preset"] == other
    done = await told(client, identity, "/mining/restart", **key)
    assert (done.status_code, done.content) == (200, b"")
    assert farm.truth(identity.miner_id).state == "starting"
    clock.now += 600
    after = farm.truth(identity.miner_id)
    assert after.power_limit_w == int(other)
    assert after.hashrate_nominal_hs < before.hashrate_nominal_hs
    assert after.power_w == pytest.approx(int(other), rel=0.02)
    assert after.hashrate_hs == pytest.approx(after.hashrate_nominal_hs, rel=0.06)
    assert after.uptime_s == before.uptime_s + 630
    assert after.shares_accepted < before.shares_accepted, "counters of the mining began anew"
    # 580 s of mining at the new rate: 20 of 600 s went into the start
    assert after.hashes_delivered == pytest.approx(after.hashrate_nominal_hs * 580, rel=0.06)
    assert (await read(client, identity, "/perf-summary"))["current_preset"]["name"] == other
    by_token = await read(client, identity, "/settings", headers={"authorization": f"Bearer {token}"})
    assert by_token["miner"]["overclock"]["preset"] == other, "a login outlives a restart of the mining"


async def test_nobody_is_told_without_a_login_and_nonsense_changes_nothing(farm, client, clock):
    identity = farm.miners[0]
    key = {"headers": {"x-api-key": identity.api_key}}
    before = farm.truth(identity.miner_id)
    for path, body in (("/settings", {"miner": {"overclock": {"preset": "2150"}}}), ("/mining/restart", None)):
        assert (await told(client, identity, path, body)).status_code == 401
        assert (await told(client, identity, path, body, headers={"x-api-key": "0" * 32})).status_code == 401
    wrongs: tuple[object, ...] = ({"miner": {}}, {"miner": {"overclock": {"preset": "1"}}}, ["preset"])
    for one in wrongs:
        wrong = await told(client, identity, "/settings", one, **key)
        assert wrong.status_code == 400
        assert wrong.json()["err"]
    clock.now += 60
    assert farm.truth(identity.miner_id).booted_at == before.booted_at


async def test_a_restart_cures_what_it_can(farm, client, clock):
    identity = farm.miners[0]
    for board, cured in ((1, True), (2, False)):
        farm.inject(identity.miner_id, Fault(kind="board_lost", board=board, start=NOON - 600, until_restart=cured))
    clock.now += 5
    await told(client, identity, "/mining/restart", headers={"x-api-key": identity.api_key})
    clock.now += 60
    assert [board.number for board in farm.truth(identity.miner_id).boards if board.lost] == [2]
    with pytest.raises(ValueError, match="until_restart has no meaning for dead"):
        farm.inject(identity.miner_id, Fault(kind="dead", until_restart=True))


async def test_slow_fans_make_it_hot_and_slow_and_a_lower_preset_cooler(farm, clock):
    identity = next(one for one in farm.miners if farm.truth(one.miner_id).power_limit_w > 3_000)
    miner = farm._webs[identity.miner_id].miner
    well = farm.truth(identity.miner_id)
    farm.inject(identity.miner_id, Fault(kind="fans_slow", start=NOON - 600))
    slow = farm.truth(identity.miner_id)
    assert (slow.fan_duty_percent, slow.state) == (36.0, "mining")
    assert slow.chip_temp_max_c > max(85, well.chip_temp_max_c)
    assert slow.hashrate_hs == pytest.approx(0.9 * well.hashrate_hs)
    assert slow.hashes_delivered == pytest.approx(well.hashes_delivered - 0.1 * 600 * well.hashrate_hs, rel=1e-3)
    miner.choose_preset(miner.model.presets[0], clock.now)
    miner.restart_mining(clock.now)
    clock.now += 600
    assert farm.truth(identity.miner_id).chip_temp_max_c < slow.chip_temp_max_c - 10
