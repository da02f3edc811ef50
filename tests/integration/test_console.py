"""The console on the real database: each role sees its work and takes its own steps, and nobody else's."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import typer
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from console.cli import token as token_cli
from console.web import token_timescale
from console.web.app import make_app
from console.web.token_timescale import NoTokenError
from simulators import body
from verification import factors_timescale, verify_timescale, walk_timescale
from verification.period import Period
from verification.walk import Role

pytestmark = pytest.mark.services

SCRIPT = "<script>alert(1)</script>"
SEED = bytes(range(32))
SERVE = "import sys; from pathlib import Path; from simulators.registry import run; run('127.0.0.1', int(sys.argv[1]), Path(sys.argv[2]))"
ROLES = ("operator", "verifier", "reviewer", "administrator")
PAGES = {
    "operator": [
        "/gateways",
        "/gateways?standing=silent",
        "/sites",
        "/sites?month=2021-04",
        "/flags",
        "/flags?code=night-generation&level=hold",
        "/claims",
        "/batches",
    ],
    "verifier": ["/sites", "/flags", "/claims"],
    "reviewer": ["/sites", "/flags", "/claims"],
    "administrator": ["/claims", "/batches"],
}
# One site that exports, its gateway silent for 30 hours, one that was never heard; a day of 60 kWh a half hour, with a hole, a spread row and a hold.
FILL = """
INSERT INTO project (project, name, scheme, methodology, operator, registration_applied_on, certified_from, certified_to)
VALUES ('p-1', %(script)s, 'DEMO', 'EN-R-002', %(script)s, '2021-03-01', '2021-04-01', '2029-04-01');
INSERT INTO site (site, lat, lon, dc_kw, ac_kw, operation_start, exports, region) VALUES
  ('s-1', 39.7, 140.1, 200, 200, '2021-03-15', true, %(script)s), ('s-2', 39.7, 140.1, 5, 5, '2021-03-15', true, NULL);
INSERT INTO member (activity, member, project, site, applied_on, consented_on) SELECT 'a-' || id, 'm-' || id, 'p-1', id, '2021-03-01', '2021-03-01' FROM site;
INSERT INTO gateway (gateway, site) SELECT 'gw-' || id, id FROM site;
INSERT INTO key (kid, gateway, public_key, revoked_at) SELECT 'k-' || id, id, decode(repeat('ab', 32), 'hex'), CASE WHEN id = 2 THEN now() END FROM gateway;
INSERT INTO meter (meter, site, gateway, register, modulus_wh, specified, verified_until)
SELECT 'm-' || s.id || '-' || left(r, 1), s.id, s.id, r, 1000000000, true, '2030-01-01' FROM site s, unnest(ARRAY['generation', 'export']) r;
INSERT INTO evidence (topic_id, partition, "offset", messages, received_at, body)
SELECT gen_random_uuid(), 0, n, 1, now() - make_interval(hours => 40 - 10 * n), '' FROM generate_series(0, 1) AS n;
INSERT INTO message (gateway, seq, hash, segment, place) SELECT 1, "offset", '', segment, 0 FROM evidence;
INSERT INTO gateway_status SELECT id, 'online', now() - interval '31 hours', %(script)s, 96, -1500, now() FROM gateway WHERE gateway = 'gw-1';
INSERT INTO interval (meter, end_at, register_wh, start_at, energy_wh, state, rule_set)
SELECT m.id, at, wh * n, at - interval '30 min', wh, 1, 'r-1'
FROM meter m JOIN site s ON s.id = m.site, generate_series(1, 48) AS n, LATERAL (SELECT timestamptz '2021-04-01 00:00+09' + n * interval '30 min' AS at) AS t,
  LATERAL (SELECT CASE register WHEN 'generation' THEN 60000 ELSE 0 END AS wh) AS e
WHERE s.site = 's-1';
INSERT INTO interval (meter, end_at, register_wh, state, rule_set) SELECT id, '2021-04-01 00:00+09', 0, 0, 'r-1' FROM meter WHERE meter LIKE 'm-1-%%';
DELETE FROM interval WHERE meter = (SELECT id FROM meter WHERE meter = 'm-1-g') AND end_at = '2021-04-01 02:00+09';
DELETE FROM interval WHERE meter = (SELECT id FROM meter WHERE meter = 'm-1-e') AND end_at = '2021-04-01 04:00+09';
UPDATE interval SET start_at = '2021-04-01 03:30+09', state = 2 WHERE meter = (SELECT id FROM meter WHERE meter = 'm-1-e') AND end_at = '2021-04-01 04:30+09';
INSERT INTO flag (meter, start_at, end_at, code, level, observed, bound, energy_at_stake_wh, rule_set)
SELECT id, timestamptz '2021-04-01 00:00+09',  timestamptz '2021-04-01 00:30+09',
       'night-generation', 'hold', 60000, 5, 60000, %(script)s FROM meter WHERE meter = 'm-1-g'
UNION ALL SELECT id, '2021-04-01 00:30+09', '2021-04-01 01:00+09', 'a-later-code', 'warn', 1, 2, 3, 'r-2' FROM meter WHERE meter = 'm-1-g';
INSERT INTO tally (partition, what, reason, count) VALUES (0, 'accepted', '', 40), (1, 'accepted', '', 2), (0, 'refused', 'unknown-key', 3);
INSERT INTO outbox (topic, value, made_at) VALUES ('anomaly.v1', '{}', now() - interval '90 s');
INSERT INTO unread (topic_id, partition, "offset", attempts, passed_over) VALUES (gen_random_uuid(), 0, 1, 3, true);
INSERT INTO rejected (topic_id, partition, "offset", reason, detail, origin, received_at, value)
VALUES (gen_random_uuid(), 0, 2, 'unknown-key', %(script)s, 'jcredit/v1/gw-9/telemetry', now(), '\\x00');
"""


class Visitor:
    """A person at a browser, signed in."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def sign_in(self, token: str) -> "Visitor":
        self.post("/sign-in", "/sign-in", token=token)
        return self

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def csrf(self, path: str) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    def post(self, page: str, path: str, files: dict[str, bytes] | None = None, **fields: str) -> httpx.Response:
        sent = {name: (f"{name}.json", content) for name, content in (files or {}).items()}
        return self.client.post(path, data={"csrf": self.csrf(page), **fields}, files=sent or None)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port), str(tmp_path / "registry.sqlite")], stderr=subprocess.DEVNULL)
    try:
        _answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            httpx.get(f"{url}/healthz", trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry simulator did not start")


@pytest.fixture
def console(database: str, tmp_path: Path) -> Iterator[Callable[[], TestClient]]:
    """New browsers at one console; the registry is away."""
    app = make_app(database, home=tmp_path, registry="http://127.0.0.1:1")
    with TestClient(app):
        yield lambda: TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def tokens(database: str) -> dict[str, str]:
    with psycopg.connect(database, autocommit=True) as connection:
        return {role: token_timescale.make(connection, person=f"{role}-1", role=Role(role), days=1) for role in ROLES}


@pytest.fixture
def filled(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in FILL.split(";\n"):
            if statement.strip():
                connection.execute(statement, {"script": SCRIPT})
    return database


@pytest.fixture
def verified(filled: str, tokens: dict[str, str]) -> str:
    """A claim of one day, verified by the real judge; what it could not see it says."""
    with psycopg.connect(filled, autocommit=True) as connection:
        content = b"fiscal_year,kind,kg_per_kwh,source\n2021,all_source,0.434,official table\n"
        factors_timescale.load(connection, "f.csv", content, person="operator-1", today=date(2026, 4, 1))
        factors_timescale.confirm(connection, person="verifier-1")
        period = Period(start=date(2021, 4, 1), end=date(2021, 4, 2))
        claim = walk_timescale.create(connection, project="p-1", period=period, person="operator-1", factor="all_source", tell=lambda _: None)
    assert verify_timescale.verify(filled, claim, "verifier-1", build="test", tell=lambda _: None).tonnes == 1
    return claim


def at(console: Callable[[], TestClient], token: str) -> Visitor:
    return Visitor(console()).sign_in(token)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_renders_on_an_empty_database(role: str, console: Callable[[], TestClient], tokens: dict[str, str]) -> None:
    visitor = at(console, tokens[role])
    for path in (*PAGES[role], "/"):
        for lang in ("ja", "en"):
            answer = visitor.get(path + ("&" if "?" in path else "?") + f"lang={lang}")
            assert (answer.status_code, f'<html lang="{lang}">' in answer.text) == (200, True), path


@pytest.mark.parametrize("role", ROLES)
def test_every_page_renders_on_a_filled_database_and_no_name_becomes_markup(
    role: str, console: Callable[[], TestClient], tokens: dict[str, str], verified: str
) -> None:
    visitor = at(console, tokens[role])
    more = [f"/claims/{verified}", f"/claims/{verified}/report.html", f"/claims/{verified}/report.json"]
    more += ["/sites/s-1", "/sites/s-1?year=2021", "/sites/s-1/2021-04-01", "/flags?site=s-1"] if role != "administrator" else []
    more += ["/gateways/gw-1", "/gateways/gw-2"] if role == "operator" else []
    texts = {}
    for path in (*PAGES[role], *more):
        answer = visitor.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text[-400:]}"
        if not path.endswith(".json"):
            texts[path] = answer.text
    assert [path for path, text in texts.items() if SCRIPT in text] == []
    assert any("&lt;script&gt;" in text for text in texts.values())


def test_the_operator_sees_who_is_silent_since_when_and_what_it_said(console: Callable[[], TestClient], tokens: dict[str, str], filled: str) -> None:
    visitor = at(console, tokens["operator"])
    text = visitor.get("/gateways?lang=en").text
    rows = re.findall(r'<tr><td><a href="/gateways/[^"]+">(gw-\d)</a>.*?</tr>', text, re.S)
    assert rows == ["gw-1", "gw-2"]
    assert re.search(r"gw-1</a>.*?>silent<.*?1 d 6 h.*?online.*?96.*?-1,500 ms", text, re.S)
    assert re.search(r"gw-2</a>.*?>never heard<.*?no valid key", text, re.S)
    assert [c["standing"] for c in _api(console, tokens["operator"], "/api/v1/gateways?hours=50").json()] == ["never", "heard"]


def test_gaps_spreads_and_holds_are_counted_by_site_and_day(console: Callable[[], TestClient], tokens: dict[str, str], filled: str) -> None:
    days = _api(console, tokens["verifier"], "/api/v1/sites/s-1/days?first=2021-03-31&end=2021-04-03").json()
    # one half hour is missing (an edge of generation was not read and nothing runs over it), two are spread (export), one is held by a flag
    assert [(d["expected"], d["read"], d["spread"], d["held"], d["missing"]) for d in days] == [(0, 0, 0, 0, 0), (48, 44, 2, 1, 1), (48, 0, 0, 0, 48)]
    silent = _api(console, tokens["verifier"], "/api/v1/sites/s-2/days?first=2021-04-01&end=2021-04-02").json()
    assert silent[0]["missing"] == 48


def test_flags_are_counted_by_code_with_the_energy_at_stake(console: Callable[[], TestClient], tokens: dict[str, str], filled: str) -> None:
    text = at(console, tokens["operator"]).get("/flags?lang=en").text
    assert re.search(r"<code>night-generation</code></a>.*?hold.*?>1</td>.*?60\.000", text, re.S)
    assert "a-later-code" in text


def test_a_desk_is_closed_to_other_roles_with_a_sentence(console: Callable[[], TestClient], tokens: dict[str, str], verified: str) -> None:
    answer = at(console, tokens["administrator"]).get("/gateways?lang=en")
    assert (answer.status_code, "This is for the operator; administrator-1 is signed in as administrator." in answer.text) == (403, True)
    visitor = at(console, tokens["operator"])
    refused = [visitor.post("/claims", f"/claims/{verified}/{step}") for step in ("approve", "sign", "statement")]
    assert [a.status_code for a in refused] == [403, 403, 403]
    assert _state(console, tokens, verified) == "verified"


def test_a_token_of_another_role_takes_no_step(console: Callable[[], TestClient], tokens: dict[str, str], verified: str) -> None:
    others = [("operator", "approve"), ("operator", "sign"), ("verifier", "approve"), ("verifier", "issue"), ("reviewer", "approve"), ("administrator", "sign")]
    answers = [_api(console, tokens[role], f"/api/v1/claims/{verified}/{step}", {}) for role, step in others]
    assert [a.status_code for a in answers] == [403] * 6
    assert all(a.json()["error"].startswith("This is for the ") for a in answers)
    assert _state(console, tokens, verified) == "verified"


def test_a_step_out_of_turn_is_refused_in_the_words_of_the_walk(console: Callable[[], TestClient], tokens: dict[str, str], verified: str) -> None:
    answer = _api(console, tokens["administrator"], f"/api/v1/claims/{verified}/approve", {})
    assert (answer.status_code, "`approve` starts from signed" in answer.json()["error"]) == (409, True)
    withdrawn = _api(console, tokens["administrator"], f"/api/v1/claims/{verified}/withdraw", {"reason": "not mine"})
    assert (withdrawn.status_code, "`withdraw` is for operator" in withdrawn.json()["error"]) == (409, True)


def test_a_form_of_another_session_is_refused(console: Callable[[], TestClient], tokens: dict[str, str], verified: str) -> None:
    mine, other = at(console, tokens["verifier"]), at(console, tokens["verifier"])
    answer = mine.client.post(f"/claims/{verified}/back", data={"csrf": other.csrf("/claims"), "step": "reject", "reason": "forged"})
    assert (answer.status_code, _state(console, tokens, verified)) == (403, "verified")


def test_a_cookie_opens_no_api_and_a_token_no_page(console: Callable[[], TestClient], tokens: dict[str, str]) -> None:
    assert at(console, tokens["operator"]).get("/api/v1/claims").status_code == 401
    answer = console().get("/claims", headers={"Authorization": f"Bearer {tokens['operator']}"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fclaims")


def test_from_statement_to_serial_in_the_browser(
    database: str, registry: str, tmp_path: Path, console: Callable[[], TestClient], tokens: dict[str, str], verified: str
) -> None:
    app = make_app(database, home=tmp_path, registry=registry)
    with TestClient(app):

        def browser() -> TestClient:
            return TestClient(app, base_url="http://127.0.0.1")

        page = f"/claims/{verified}"
        verifier = at(browser, tokens["verifier"])
        early = body.secure(verifier.post(page, f"{page}/statement", did=body.did(SEED)).json(), SEED, "2026-04-01T00:00:00Z")
        refused = verifier.post(page, f"{page}/sign", files={"credential": json.dumps(early).encode()})
        assert (refused.status_code, "items are undecided" in refused.text) == (409, True)

        undecided = re.findall(r'name="words-(\w+)"', verifier.get(page).text)
        assert len(undecided) > 5
        statement = verifier.post(page, f"{page}/statement", did=body.did(SEED), opinion="modified", **{f"words-{item}": "read by hand" for item in undecided})
        assert {i["item"] for i in statement.json()["credentialSubject"]["decidedOtherwise"] if i["instead"]} == set(undecided)
        signed = json.dumps(body.secure(statement.json(), SEED, "2026-04-01T00:00:00Z")).encode()
        forged = verifier.post(page, f"{page}/sign", files={"credential": signed.replace(b'"tonnes": 1', b'"tonnes": 9')})
        assert (forged.status_code, "no credential" in forged.text) == (422, True)
        assert verifier.post(page, f"{page}/sign", files={"credential": signed}).status_code == 200
        assert _state(browser, tokens, verified) == "signed"

        administrator = at(browser, tokens["administrator"])
        assert f'action="/claims/{verified}/approve"' in administrator.get("/batches").text
        assert administrator.post("/batches", f"{page}/approve").status_code == 200
        away = _api(console, tokens["administrator"], f"/api/v1/claims/{verified}/issue", {})
        assert (away.status_code, _state(browser, tokens, verified)) == (503, "approved")
        assert "approved, to be issued" in administrator.get("/batches?lang=en").text
        assert administrator.post(page, f"{page}/issue").status_code == 200
        assert _state(browser, tokens, verified) == "issued"
        assert "DEMO-JC-2021-000000001" in administrator.get("/batches").text

        public = browser().get("/serial/DEMO-JC-2021-000000001?lang=en")
        assert public.status_code == 200
        assert all(word in public.text for word in (verified, "credits issued", "NOT OFFICIAL"))
        assert not any(word in public.text for word in ("s-1", "a-1", "gw-1", SCRIPT))
        assert browser().get("/serial/DEMO-JC-2021-000000002").status_code == 404
        events = _api(browser, tokens["operator"], f"/api/v1/claims/{verified}").json()["events"]
        assert [(e["what"], e["person"]) for e in events][-3:] == [
            ("approval", "administrator-1"),
            ("approved", "administrator-1"),
            ("issued", "administrator-1"),
        ]


def test_what_the_ledger_did_not_approve_is_not_issued(console: Callable[[], TestClient], tokens: dict[str, str], verified: str, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE claim SET state = 'approved'")
    answer = _api(console, tokens["administrator"], f"/api/v1/claims/{verified}/issue", {})
    assert answer.status_code == 409
    assert "the ledger has" in answer.json()["error"]
    assert _api(console, tokens["administrator"], "/api/v1/serials").json() == []


def test_returning_needs_a_reason_and_leaves_it_on_record(console: Callable[[], TestClient], tokens: dict[str, str], verified: str) -> None:
    visitor = at(console, tokens["reviewer"])
    assert visitor.post("/claims", f"/claims/{verified}/back", step="return", reason=" ").status_code == 422
    text = visitor.post("/claims", f"/claims/{verified}/back", step="return", reason=f"wrong factor {SCRIPT}").text
    assert "wrong factor &lt;script&gt;" in text
    assert _state(console, tokens, verified) == "returned"


def test_metrics_count_what_there_is(console: Callable[[], TestClient], verified: str) -> None:
    text = console().get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['jcredit_messages_total{kind="accepted",reason=""}'] == "42"
    assert lines['jcredit_messages_total{kind="refused",reason="unknown-key"}'] == "3"
    assert [lines[f'jcredit_intervals{{state="{state}"}}'] for state in ("opening", "credited", "spread", "held", "untrue")] == ["2", "93", "1", "0", "0"]
    assert 90 <= float(lines["jcredit_outbox_oldest_unsent_seconds"]) < 600
    assert lines['jcredit_unread_segments{passed_over="true"}'] == "1"
    assert lines['jcredit_claims{state="verified"}'] == "1"


def test_metrics_of_an_empty_database_are_zero(console: Callable[[], TestClient]) -> None:
    text = console().get("/metrics").text
    assert "jcredit_outbox_oldest_unsent_seconds 0\n" in text
    assert 'jcredit_intervals{state="credited"} 0\n' in text
    assert console().get("/healthz").json() == {"state": "running"}


def test_a_token_is_shown_once_and_kept_as_a_hash(database: str, monkeypatch: pytest.MonkeyPatch, console: Callable[[], TestClient]) -> None:
    monkeypatch.setenv("JCREDIT_DSN", database)
    app = typer.Typer()
    token_cli.register(app)
    made = CliRunner().invoke(app, ["--role", "operator", "--person", "op-1", "--days", "2"])
    assert made.exit_code == 0
    secret = made.stdout.strip()
    with psycopg.connect(database) as connection:
        assert secret not in str(connection.execute("SELECT * FROM token").fetchall())
    assert _api(console, secret, "/api/v1/gateways").status_code == 200
    assert _api(console, secret[:-1] + ("A" if secret[-1] != "A" else "B"), "/api/v1/gateways").status_code == 401


def test_an_ended_or_revoked_token_ends_its_sessions_too(database: str, console: Callable[[], TestClient], tokens: dict[str, str]) -> None:
    visitors = [at(console, tokens[role]) for role in ("operator", "verifier", "administrator")]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE token SET made_at = now() - interval '2 days', expires_at = now() - interval '1 s' WHERE role = 'operator'")
        connection.execute("UPDATE token SET revoked_at = now() WHERE role = 'verifier'")
        connection.execute("UPDATE person SET role = 'operator' WHERE person = 'administrator-1'")
    assert [str(v.get("/claims").url.path) for v in visitors] == ["/sign-in"] * 3
    assert [_api(console, tokens[role], "/api/v1/claims").status_code for role in ROLES] == [401, 401, 200, 401]


def test_a_person_has_one_role(database: str, tokens: dict[str, str]) -> None:
    with psycopg.connect(database, autocommit=True) as connection, pytest.raises(NoTokenError, match="already operator"):
        token_timescale.make(connection, person="operator-1", role=Role.ADMINISTRATOR, days=1)
    with psycopg.connect(database, autocommit=True) as connection, pytest.raises(NoTokenError, match="no desk"):
        token_timescale.make(connection, person="confirmer-1", role=Role.CONFIRMER, days=1)


def test_an_address_that_makes_no_sense_is_answered_in_a_sentence(console: Callable[[], TestClient], tokens: dict[str, str]) -> None:
    visitor = at(console, tokens["operator"])
    paths = [
        "/gateways/%00",
        "/sites/%00",
        "/claims/%00",
        "/sites/s-1/0001-01-01",
        "/sites?month=2021-13",
        "/sites?skip=-1",
        "/gateways?hours=0",
        "/sites?month=2098-12",
    ]
    answers = {path: visitor.get(path) for path in paths}
    assert [a.status_code for a in answers.values()] == [422, 422, 422, 404, 422, 422, 422, 200]
    assert [path for path, a in answers.items() if a.status_code != 200 and 'class="refused"' not in a.text] == []


def test_a_wrong_token_does_not_sign_in(console: Callable[[], TestClient]) -> None:
    answer = Visitor(console()).post("/sign-in", "/sign-in", token="jct_" + "x" * 43)
    assert (answer.status_code, 'role="alert"' in answer.text) == (403, True)


def _api(console: Callable[[], TestClient], token: str, path: str, sent: dict[str, Any] | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return console().get(path, headers=headers) if sent is None else console().post(path, headers=headers, json=sent)


def _state(console: Callable[[], TestClient], tokens: dict[str, str], claim: str) -> str:
    return str(_api(console, tokens["operator"], f"/api/v1/claims/{claim}").json()["state"])
