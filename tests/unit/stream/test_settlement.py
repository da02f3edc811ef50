"""What is settled of a chain, the ack that says so, and when it is said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from stream.settlement import AckTimes, Chain, ack


def digest(seq: int) -> bytes:
    return bytes([seq]) * 32


def chain_of(*seqs: int, refused: dict[int, str] | None = None) -> Chain:
    chain = Chain()
    for seq in seqs:
        if not chain.known(seq):
            chain.take(seq, digest(seq), (refused or {}).get(seq))
    return chain


def test_nothing_is_settled_at_first() -> None:
    assert json.loads(ack(Chain(), 60)) == {"v": 1, "seq": -1, "hash": "0" * 64, "refused": [], "every_s": 60}


def test_a_whole_chain_is_settled_to_its_end() -> None:
    chain = chain_of(0, 1, 2)
    assert (chain.seq, chain.hash, chain.beyond) == (2, digest(2), {})


def test_a_gap_stops_it_and_what_lies_beyond_is_kept() -> None:
    chain = chain_of(0, 1, 3, 4)
    assert (chain.seq, chain.hash, chain.beyond) == (1, digest(1), {3: digest(3), 4: digest(4)})


def test_a_filled_gap_settles_all_that_waited() -> None:
    chain = chain_of(0, 1, 3, 4, 2)
    assert (chain.seq, chain.hash, chain.beyond) == (4, digest(4), {})


def test_the_first_with_a_number_counts() -> None:
    chain = chain_of(0, 1, 3)
    assert [seq for seq in range(6) if chain.known(seq)] == [0, 1, 3]


def test_a_refused_message_settles_its_place_and_the_ack_names_it() -> None:
    chain = chain_of(0, 1, 2, refused={1: "wrong-meter"})
    assert ack(chain, 60.0) == b'{"v":1,"seq":2,"hash":"' + b"02" * 32 + b'","refused":[{"seq":1,"reason":"wrong-meter"}],"every_s":60.0}'


def test_a_refused_message_beyond_a_gap_is_not_named_yet() -> None:
    chain = chain_of(0, 2, refused={2: "malformed"})
    assert json.loads(ack(chain, 60))["refused"] == []
    chain.take(1, digest(1), None)
    assert json.loads(ack(chain, 60))["refused"] == [{"seq": 2, "reason": "malformed"}]


def test_the_last_twenty_refused_are_named() -> None:
    chain = chain_of(*range(30), refused=dict.fromkeys(range(30), "malformed"))
    assert [one["seq"] for one in json.loads(ack(chain, 60))["refused"]] == list(range(10, 30))


@given(st.sets(st.integers(0, 30)).flatmap(lambda seqs: st.permutations(sorted(seqs) * 2)))
def test_order_and_repeats_do_not_show(seqs: list[int]) -> None:
    chain, plain = chain_of(*seqs), chain_of(*sorted(set(seqs)))
    assert (chain.seq, chain.hash, chain.beyond) == (plain.seq, plain.hash, plain.beyond)


def told(times: AckTimes, *instants: float) -> list[list[str]]:
    return [times.due(at) for at in instants]


def test_a_gateway_is_told_once_it_has_fallen_quiet() -> None:
    times = AckTimes(60)
    times.heard({"gw-1"}, 100.0)
    assert told(times, 101.0, 102.5, 103.0, 104.0) == [[], [], ["gw-1"], []]


def test_one_that_goes_on_sending_is_told_every_so_often() -> None:
    times, said = AckTimes(60), []
    for second in range(200):
        times.heard({"gw-1"}, float(second))
        if times.due(float(second)):
            said.append(second)
    assert said == [60, 121, 182]


def test_who_was_not_heard_is_not_told() -> None:
    times = AckTimes(60)
    times.heard({"gw-1"}, 0.0)
    assert told(times, 1000.0, 2000.0) == [["gw-1"], []]


def test_a_repeat_is_answered_as_a_message_is() -> None:
    times = AckTimes(60)
    times.heard({"gw-1"}, 0.0)
    times.due(10.0)
    times.heard({"gw-1"}, 11.0)
    assert told(times, 14.0) == [["gw-1"]]


def test_looking_often_costs_nothing() -> None:
    times = AckTimes(60)
    times.heard({"gw-1"}, 0.0)
    assert told(times, 2.9, 3.1, 3.4) == [[], [], ["gw-1"]]
