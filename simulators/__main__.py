"""Simulators by hand: `python -m simulators fleet|publish|live|body|sign`.

Messages go to stderr, results to stdout; exit 2 is bad input, 3 a service that is not there.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from simulators import body
from simulators.body import BodyError
from simulators.delivery import PublishError, Sent
from simulators.folder import FleetError

BAD_INPUT, NO_SERVICE = 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; what went wrong is said in one sentence."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except (FleetError, BodyError, FileNotFoundError) as error:
        return _complain(error, BAD_INPUT)
    except PublishError as error:
        return _complain(error, NO_SERVICE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description="Simulated homes, gateways, and the demo's verification body.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fleet = commands.add_parser("fleet", help="build a fleet: enrolment tables, keys, registers, labels")
    fleet.add_argument("--out", type=Path, required=True)
    for name, default in (("--members", 24), ("--days", 365), ("--seed", 1)):
        fleet.add_argument(name, type=int, default=default)
    fleet.set_defaults(run=_fleet)
    for name, told, run in (("publish", "send a fleet's year until all of it is settled", _publish), ("live", "send one-minute readings of now", _live)):
        sends = commands.add_parser(name, help=told)
        sends.add_argument("--fleet", type=Path, required=True)
        sends.add_argument("--mqtt", required=True, help="host:port, as `jcredit status` shows it")
        sends.set_defaults(run=run)
        if name == "live":
            sends.add_argument("--messages", type=int, default=5)
            sends.add_argument("--readings", type=int, default=1, help="one-minute readings a message, 1 to 15")
            sends.add_argument("--at-once", action="store_true", help="about the minutes just past, without waiting")
    key = commands.add_parser("body", help="make the verification body's key if there is none, and print its did")
    sign = commands.add_parser("sign", help="secure a statement with the body's key")
    for keyed in (key, sign):
        keyed.add_argument("--key", type=Path, required=True, help="the body's own folder")
    key.set_defaults(run=_body)
    sign.add_argument("--in", dest="source", type=Path, required=True)
    sign.add_argument("--out", type=Path, required=True)
    sign.set_defaults(run=_sign)
    return parser


def _fleet(chosen: argparse.Namespace) -> int:
    from simulators import fleet  # pvlib and pandas take seconds to load; the other commands do without

    built = fleet.build(chosen.out, members=chosen.members, days=chosen.days, seed=chosen.seed, say=_say)
    sys.stdout.writelines(f"{path}\n" for path in built.tables)
    return 0


def _publish(chosen: argparse.Namespace) -> int:
    from simulators import gateway

    return _told(gateway.publish(chosen.fleet, chosen.mqtt, progress=_progress))


def _live(chosen: argparse.Namespace) -> int:
    from simulators import gateway

    return _told(gateway.live(chosen.fleet, chosen.mqtt, messages=chosen.messages, readings_each=chosen.readings, in_real_time=not chosen.at_once))


def _told(sent: Sent) -> int:
    _say(f"\n{sent.settled} of {sent.messages} messages settled in {sent.seconds:.1f} s, {sent.packets} packets, {len(sent.refused)} refused")
    for note in sent.notes:
        _say(note)
    return 0


def _body(chosen: argparse.Namespace) -> int:
    sys.stdout.write(body.did(body.key(chosen.key)) + "\n")
    return 0


def _sign(chosen: argparse.Namespace) -> int:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body.sign_file(chosen.source, chosen.out, folder=chosen.key, created=now)
    _say(f"{chosen.out} is signed")
    return 0


def _progress(settled: int, total: int) -> None:
    sys.stderr.write(f"\r{settled} of {total} messages settled")


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


def _complain(error: Exception, code: int) -> int:
    _say(str(error))
    return code


if __name__ == "__main__":
    sys.exit(main())
