import json
import random

import pytest

from simulators.chain import Ack, AckError, Chain, parse_ack


def chain(count: int = 10) -> Chain:
    return Chain(gateway="gw-1", count=count, chance=random.Random(1))


def ack(seq: int, *, every_s: float = 60.0) -> Ack:
    return Ack(seq=seq, hash=None, refused=(), every_s=every_s)


def sent(one: Chain, messages: int) -> Chain:
    for _ in range(messages):
        one.sent()
    return one


def test_an_ack_is_read_as_the_wire_writes_it() -> None:
    told = {"v": 1, "seq": 4, "hash": "ab", "refused": [{"seq": 2, "reason": "wrong-meter"}], "every_s": 60}
    assert parse_ack(json.dumps(told).encode()) == Ack(seq=4, hash="ab", refused=((2, "wrong-meter"),), every_s=60.0)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"seq":"x"}', b'{"seq":-2}', b'{"seq":1,"every_s":0}', b'{"seq":1,"refused":[{"seq":1}]}', b"\xff"])
def test_what_is_no_ack_is_refused(payload: bytes) -> None:
    with pytest.raises(AckError, match="not an ack"):
        parse_ack(payload)


def test_an_ack_settles_all_up_to_its_message() -> None:
    one = sent(chain(), 5)
    assert one.heard(ack(3), 1.0)
    assert (one.settled, one.next_seq, one.is_done) == (3, 5, False)


def test_an_ack_at_the_start_skips_what_was_settled_in_an_earlier_run() -> None:
    one = chain()
    one.heard(ack(9), 1.0)
    assert one.is_done
    assert not one.may_send(100)


def test_an_older_ack_changes_nothing() -> None:
    one = sent(chain(), 8)
    one.heard(ack(6), 1.0)
    assert not one.heard(ack(2), 2.0)
    assert (one.settled, one.next_seq) == (6, 8)


def test_a_new_connection_starts_again_after_the_last_ack() -> None:
    one = sent(chain(), 8)
    one.heard(ack(2), 1.0)
    one.connected(2.0)
    assert one.next_seq == 3


def test_without_an_ack_for_twice_its_period_it_starts_again_after_a_random_delay() -> None:
    one = sent(chain(), 8)
    one.heard(ack(2, every_s=10), 100.0)
    assert 0 <= one.delay_s <= 10
    assert not one.again_if_due(119.9)
    assert one.again_if_due(100 + 20 + one.delay_s)
    assert one.next_seq == 3


def test_no_more_than_the_window_is_under_way() -> None:
    one = sent(chain(), 3)
    assert one.may_send(4)
    assert not sent(one, 1).may_send(4)


def test_an_ack_beyond_what_was_made_speaks_of_another_chain() -> None:
    with pytest.raises(AckError, match="its chain lives in another folder"):
        chain().heard(ack(10), 1.0)


def test_refusals_are_remembered() -> None:
    one = sent(chain(), 3)
    one.heard(Ack(seq=2, hash=None, refused=((1, "out-of-range"),), every_s=60), 1.0)
    assert one.refused == {1: "out-of-range"}
