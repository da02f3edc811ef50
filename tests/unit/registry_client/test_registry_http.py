"""The client against the simulator: every fault that a registry can have, and what a person is told."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from registry_client import app, enquiry
from registry_client import http as edge
from registry_client.answer import AnswerError, DifferentBlockError, ReplayedAnswerError, UnreadableAnswerError, WrongCountError
from registry_client.http import Registry, RegistryBusyError, RegistryRefusedError
from registry_client.issuance import Approved, Batch, Vintage, batch_of

BLOCK = "DEMO-JC-2021-000000001 to DEMO-JC-2021-000000017"


def batch(claim: str = "demo-fy2021-001", tonnes: int = 17, scheme: str = "DEMO") -> Batch:
    return batch_of(
        Approved(
            claim=claim,
            project="demo-fy2021",
            project_name="Demo",
            operator="operator-1",
            scheme=scheme,
            methodology="EN-R-002",
            start=date(2021, 4, 1),
            end=date(2022, 4, 1),
            vintages=(Vintage(fiscal_year=2021, tonnes=tonnes, energy_wh=41_234_567),),
            report_sha256="a" * 64,
            statement_sha256="b" * 64,
        )
    )


def switch(url: str, fault: str, **other: Any) -> None:
    httpx.post(f"{url}/faults", json={"fault": fault, **other}, trust_env=False).raise_for_status()


def held(url: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = httpx.get(f"{url}/accounts/operator-1/holdings", trust_env=False).json()["blocks"]
    return blocks


def asked(url: str, one: Batch, pauses: list[float] | None = None, timeout_s: float = 5.0) -> list[str]:
    """The blocks that the client gets, without waiting for anything."""
    waits = pauses if pauses is not None else []
    with Registry(url, timeout_s=timeout_s, pause=waits.append) as registry:
        return [str(b) for b in app.ask(registry, one)]


def test_a_batch_gets_a_block(registry_url: str) -> None:
    assert asked(registry_url, batch()) == [BLOCK]


def test_numbers_run_on_from_batch_to_batch(registry_url: str) -> None:
    assert asked(registry_url, batch()) == [BLOCK]
    assert asked(registry_url, batch("c-2", tonnes=3)) == ["DEMO-JC-2021-000000018 to DEMO-JC-2021-000000020"]


def test_asking_again_gives_the_same_block(registry_url: str) -> None:
    assert [asked(registry_url, batch()) for _ in range(3)] == [[BLOCK]] * 3
    assert len(held(registry_url)) == 1


def test_a_hundred_requests_at_once_give_one_block(registry_url: str) -> None:
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda _: asked(registry_url, batch(), timeout_s=30.0), range(100)))

    assert found == [[BLOCK]] * 100
    assert len(held(registry_url)) == 1


@pytest.mark.parametrize(
    ("fault", "other"),
    [("timeout", {"seconds": 1}), ("429", {"seconds": 7}), ("500", {}), ("lost-answer", {})],
)
def test_what_may_pass_is_asked_again_with_the_same_key(registry_url: str, fault: str, other: dict[str, Any]) -> None:
    switch(registry_url, fault, times=2, **other)
    pauses: list[float] = []

    assert asked(registry_url, batch(), pauses, timeout_s=0.4) == [BLOCK]
    assert len(pauses) == 2
    assert len(held(registry_url)) == 1


def test_retry_after_is_kept_to(registry_url: str) -> None:
    switch(registry_url, "429", seconds=7)
    pauses: list[float] = []
    asked(registry_url, batch(), pauses)

    assert pauses == [7.0]


def test_a_retry_after_too_long_is_left_to_the_person(registry_url: str) -> None:
    switch(registry_url, "429", seconds=600)
    pauses: list[float] = []

    with pytest.raises(RegistryBusyError, match="600 s; asking the same again later is harmless"):
        asked(registry_url, batch(), pauses)
    assert pauses == []


@pytest.mark.parametrize("fault", ["429", "500", "lost-answer"])
def test_a_registry_that_stays_away_is_given_up_and_asked_again_later(registry_url: str, fault: str) -> None:
    switch(registry_url, fault, times=len(edge.PAUSES_S) + 1, seconds=1)

    with pytest.raises(RegistryBusyError):
        asked(registry_url, batch())
    assert asked(registry_url, batch()) == [BLOCK]
    assert len(held(registry_url)) == 1


def test_a_registry_that_is_not_there_is_said() -> None:
    with pytest.raises(RegistryBusyError, match="ConnectError"):
        asked("http://127.0.0.1:9", batch())


@pytest.mark.parametrize(("fault", "error"), [("wrong-count", WrongCountError), ("other-block", DifferentBlockError), ("replayed-answer", ReplayedAnswerError)])
def test_an_answer_that_can_not_be_right_is_refused_and_the_right_one_taken_after(registry_url: str, fault: str, error: type[AnswerError]) -> None:
    asked(registry_url, batch("before", tonnes=1))
    switch(registry_url, fault)

    with pytest.raises(error):
        asked(registry_url, batch())
    assert asked(registry_url, batch()) == ["DEMO-JC-2021-000000002 to DEMO-JC-2021-000000018"]


def test_one_key_for_two_requests_is_refused_by_the_registry(registry_url: str) -> None:
    asked(registry_url, batch())

    with pytest.raises(RegistryRefusedError, match="used for another request"):
        asked(registry_url, replace(batch(tonnes=18)))


def test_another_key_for_the_same_claim_is_refused_by_the_registry(registry_url: str) -> None:
    asked(registry_url, batch())

    with pytest.raises(RegistryRefusedError, match="was issued under the key"):
        asked(registry_url, replace(batch(), id="another"))


def test_the_simulator_issues_no_official_looking_serial(registry_url: str) -> None:
    with pytest.raises(RegistryRefusedError, match="scheme"):
        asked(registry_url, batch(scheme="JCREDIT"))


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r | {"tonnes": 18},
        lambda r: r | {"vintages": []},
        lambda r: r | {"vintages": r["vintages"] * 2, "tonnes": 34},
        lambda r: r | {"start": "2022-04-01"},
        lambda r: r | {"report_sha256": "A" * 64},
        lambda r: r | {"tonnes": "17"},
        lambda r: r | {"unknown": 1},
        lambda r: {k: v for k, v in r.items() if k != "account"},
    ],
)
def test_the_registry_refuses_a_bad_form(registry_url: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    bad = change(json.loads(batch().request))

    with pytest.raises(RegistryRefusedError, match="422"):
        asked(registry_url, replace(batch(), request=json.dumps(bad)))
    assert held(registry_url) == []


def test_a_request_without_a_key_is_refused(registry_url: str) -> None:
    assert httpx.post(f"{registry_url}/issuances", content=batch().request, trust_env=False).status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"key":1,"request_sha256":"","blocks":[]}', b'{"key":"k"}', b"\xff\xfe", b"<html>"])
def test_an_answer_of_another_form_is_refused(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(201, content=iter([body])))

    with Registry("http://registry", transport=transport) as registry, pytest.raises(UnreadableAnswerError):
        registry.issue(batch())


def test_an_answer_without_end_is_cut_off() -> None:
    def endless() -> Any:
        while True:
            yield b" " * 1_000_000

    transport = httpx.MockTransport(lambda _: httpx.Response(201, content=endless()))

    with Registry("http://registry", transport=transport) as registry, pytest.raises(UnreadableAnswerError, match="larger than"):
        registry.issue(batch())


def test_a_redirect_is_not_followed() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(307, headers={"Location": "http://elsewhere/issuances"}, content=iter([b""])))

    with Registry("http://registry", transport=transport) as registry, pytest.raises(RegistryRefusedError, match="307"):
        registry.issue(batch())


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "Wed, 01 Jun 2022 00:00:30 GMT", "Date": "Wed, 01 Jun 2022 00:00:10 GMT"}, 20.0),
        ({"Retry-After": "Wed, 01 Jun 2022 00:00:00 GMT", "Date": "Wed, 01 Jun 2022 00:00:10 GMT"}, 0.0),
        ({"Retry-After": "Wed, 01 Jun 2022 00:00:30 GMT"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_retry_after_is_read_in_both_spellings(headers: dict[str, str], wait_s: float) -> None:
    assert edge.retry_after_s(httpx.Headers(headers)) == wait_s


def test_an_enquiry_without_hits_and_one_with(registry_url: str) -> None:
    mine, other = (enquiry.activity_key(pcs_serial=f"PCS-{n}", supply_point="03") for n in (1, 2))
    period = (date(2021, 4, 1), date(2022, 4, 1))
    clear = edge.enquire(registry_url, (mine, other), period)
    known = [
        {"activity_key": mine, "programme": "other-club", "start": "2021-10-01", "end": "2022-10-01"},
        {"activity_key": other, "programme": "other-club", "start": "2022-04-01", "end": "2023-04-01"},
    ]
    httpx.post(f"{registry_url}/registrations", json=known, trust_env=False).raise_for_status()
    found = edge.enquire(registry_url, (mine, other), period)

    assert clear.hits == ()
    assert clear.answered_at.utcoffset() is not None
    assert [(h.activity_key, h.programme, h.start) for h in found.hits] == [(mine, "other-club", date(2021, 10, 1))]
    assert clear.enquiry != found.enquiry


@pytest.mark.parametrize("fault", ["500", "lost-answer"])
def test_an_enquiry_is_asked_again(registry_url: str, fault: str) -> None:
    switch(registry_url, fault, on="enquiries")

    with Registry(registry_url, pause=lambda _: None) as registry:
        assert registry.enquire(("a" * 64,), (date(2021, 4, 1), date(2022, 4, 1))).hits == ()


def test_an_enquiry_by_anything_but_a_hash_is_refused(registry_url: str) -> None:
    with pytest.raises(RegistryRefusedError, match="activity_keys"):
        edge.enquire(registry_url, ("PCS-1",), (date(2021, 4, 1), date(2022, 4, 1)))
