"""Sessions and their CSRF word."""

from console.web.session import Session, Sessions

OURS, OTHERS = Sessions(b"a" * 32), Sessions(b"b" * 32)


def test_a_session_is_read_back_from_its_cookie() -> None:
    session = OURS.new(7)
    assert OURS.read(OURS.written(session)) == session


def test_a_cookie_that_is_not_ours_is_nobody() -> None:
    cookie = OTHERS.written(OTHERS.new(7))
    assert [OURS.read(text) for text in (None, "", "x", cookie, OURS.written(OURS.new(7))[:-2])] == [None] * 5


def test_the_csrf_word_is_of_one_session_and_one_secret() -> None:
    one, other = Session(nonce="n1", token=1), Session(nonce="n2", token=1)
    assert OURS.csrf_holds(one, OURS.csrf(one))
    assert not OURS.csrf_holds(other, OURS.csrf(one))
    assert not OURS.csrf_holds(one, OTHERS.csrf(one))
    assert [OURS.csrf_holds(one, given) for given in (None, "", b"x", "あ")] == [False] * 4


def test_signing_in_makes_a_new_nonce() -> None:
    assert OURS.new(1).nonce != OURS.new(1).nonce
