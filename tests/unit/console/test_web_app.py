"""The console without a database: what it serves, refuses and promises a browser."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from console.web import app as console
from console.web.http import LARGEST_BODY

NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(console, "WAIT_S", 0.1)
    made = console.make_app(NOWHERE, home=tmp_path, registry="http://127.0.0.1:1")
    with TestClient(made, base_url="http://127.0.0.1", follow_redirects=False) as one:
        yield one


def test_without_a_database_it_is_not_well_and_says_what_to_do(client: TestClient) -> None:
    answers = [client.get("/healthz"), client.get("/metrics"), client.get("/serial/DEMO-JC-2021-000000001?lang=en")]
    assert [a.status_code for a in answers] == [503, 503, 503]
    assert "jcredit status" in answers[0].json()["error"]


def test_the_language_asked_for_is_kept_on_the_way_to_signing_in(client: TestClient) -> None:
    assert client.get("/claims?lang=en").headers["location"] == "/sign-in?next=%2Fclaims&lang=en"
    assert client.get("/claims?lang=xx%26y").headers["location"] == "/sign-in?next=%2Fclaims"


def test_a_page_leads_to_signing_in_and_then_back(client: TestClient) -> None:
    answer = client.get("/claims/c-1?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fclaims%2Fc-1")
    assert 'name="next" value="/claims/c-1"' in client.get(answer.headers["location"]).text


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"])
def test_signing_in_never_leads_elsewhere(client: TestClient, elsewhere: str) -> None:
    assert 'name="next" value="/"' in client.get("/sign-in", params={"next": elsewhere}).text


def test_the_language_follows_the_browser_and_is_kept_when_chosen(client: TestClient) -> None:
    assert '<html lang="ja">' in client.get("/sign-in").text
    assert '<html lang="en">' in client.get("/sign-in", headers={"Accept-Language": "en-US"}).text
    assert '<html lang="en">' in client.get("/sign-in?lang=en").text
    assert '<html lang="en">' in client.get("/sign-in").text


def test_a_browser_is_told_to_run_nothing_that_is_not_ours(client: TestClient) -> None:
    for answer in (client.get("/sign-in"), client.get("/nothing"), client.get("/log/checkpoint"), client.get("/static/console.css")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", client.get("/sign-in").text)


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(client: TestClient) -> None:
    cookie = client.get("/sign-in").headers["set-cookie"]
    assert cookie.startswith("jcredit_session=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))


def test_a_form_without_the_pages_word_is_refused(client: TestClient) -> None:
    client.get("/sign-in")
    answers = [client.post("/sign-in", data={"token": "jct_x"}), client.post("/sign-in", data={"token": "jct_x", "csrf": "0" * 64})]
    assert [a.status_code for a in answers] == [403, 403]
    assert "有効期限" in answers[0].text


def test_the_api_asks_for_a_bearer_token_in_json(client: TestClient) -> None:
    answer = client.get("/api/v1/claims")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "jcredit token" in answer.json()["error"]


def test_openapi_describes_the_api_and_no_page_of_another_host_is_needed_for_it(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/v1/claims/{claim}/sign", "/api/v1/claims/{claim}/approve", "/api/v1/gateways", "/api/v1/serials"} <= set(paths)
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_the_log_is_not_pretended(client: TestClient) -> None:
    answers = [client.get(f"/log/{rest}") for rest in ("checkpoint", "key", "tile/0/000")]
    assert [a.status_code for a in answers] == [404, 404, 404]
    assert "not served" in answers[0].json()["error"]


def test_a_body_that_is_too_large_is_cut_short(client: TestClient) -> None:
    answer = client.post("/sign-in", content=b"x" * (LARGEST_BODY + 1), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 413


def test_a_serial_that_is_none_is_not_looked_for(client: TestClient) -> None:
    answer = client.get("/serial/%3Cscript%3E?lang=en")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = console.secret(tmp_path)
    assert (len(first), console.secret(tmp_path)) == (32, first)
    assert stat.S_IMODE((tmp_path / "console.secret").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["console.secret"]


def test_a_cut_secret_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "console.secret").write_bytes(b"short")
    with pytest.raises(ValueError, match="remove it"):
        console.secret(tmp_path)
