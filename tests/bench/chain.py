"""`make bench`: the load of the shared bench through the bare chain and through the product, on the same services, in the same run.

    python -m tests.bench.chain [--gateways 5000] [--rounds 8] [--times 2]

Throughput is from the first publish to the last committed message. Latency is measured at half the slower side's throughput, from publish until the row is
visible to another connection. Ends with `chain: product N msg/s, bare M msg/s, ratio R`.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import msgspec
import psycopg
from kafka.admin import KafkaAdminClient

from deploy.local import service
from deploy.local.stack import Stack
from tests import scratch
from tests.bench.measure import Cost, cost
from tests.bench.sides import BENCH, Side, bare, product

VALUES = 45
PATIENCE_S = 120.0
Start = Callable[[], AbstractContextManager[Side]]


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    messages: int
    seconds: float
    costs: dict[str, Cost]

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--times", type=int, default=2)
    args = parser.parse_args()
    if not (BENCH / "publish.py").exists():
        raise SystemExit(f"the shared bench is not at {BENCH}: name its folder in $JCREDIT_BENCH")
    stack = scratch.up("bench", say)
    load, messages = make_load(stack.home / f"load-{args.gateways}-{args.rounds}", args.gateways, args.rounds)
    sides: dict[str, Start] = {"bare": lambda: bare(stack, load, messages), "product": lambda: product(stack, load)}
    runs: list[Run] = []
    say("warming up: a tenth of the load through each, not counted")
    for start in sides.values():
        with start() as side:
            throughput(stack, side, load, messages // 10)
    for number in range(args.times):
        for name, start in sides.items():
            with start() as side:
                runs.append(throughput(stack, side, load, messages))
            say(f"run {number + 1}, {name}: {runs[-1].rate:,.0f} msg/s, {runs[-1].rate * VALUES:,.0f} readings/s")
    for run in runs:
        show(run)
    rates = {name: mean(run.rate for run in runs if run.name == name) for name in sides}
    half = min(rates.values()) / 2
    for name, start in sides.items():
        with start() as side:
            p50, p99, count = latency(stack, side, load, half, min(messages, int(half * 10)))
        print(f"latency {name} at {half:,.0f} msg/s: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms ({count} messages)")
    print(f"chain: product {rates['product']:.0f} msg/s, bare {rates['bare']:.0f} msg/s, ratio {rates['product'] / rates['bare']:.2f}")


def make_load(folder: Path, gateways: int, rounds: int) -> tuple[Path, int]:
    """The load of that size, made once."""
    if not (folder / "meters.csv").exists():
        say(f"making a load of {gateways * rounds} signed messages")
        subprocess.run([sys.executable, str(BENCH / "make_load.py"), str(folder), "--gateways", str(gateways), "--rounds", str(rounds)], check=True)
    return folder, gateways * rounds


def pids(stack: Stack, side: Side) -> dict[str, int]:
    services = {name: service.pid(stack.home, name) for name in ("mosquitto", "kafka", "timescaledb")}
    return {name: process.pid for name, process in side.processes.items()} | {name: pid for name, pid in services.items() if pid}


def throughput(stack: Stack, side: Side, load: Path, messages: int) -> Run:
    """Publish as fast as the window allows; seconds until the last is committed."""
    with psycopg.connect(side.dsn, autocommit=True) as connection:
        wait_until_ready(stack, side)
        before = {name: cost(pid) for name, pid in pids(stack, side).items()}
        started = publish(stack, load, messages, [])
        until = time.time() + PATIENCE_S
        while (done := side.count(connection)) < messages:
            if time.time() > until:
                raise SystemExit(f"{side.name}: only {done} of {messages} messages were committed in {PATIENCE_S:.0f} s; its logs are in {stack.home}/log")
            time.sleep(0.02)
        seconds = time.time() - started()
    after = {name: cost(pid) for name, pid in pids(stack, side).items()}
    return Run(side.name, messages, seconds, {name: Cost(after[name].cpu_s - before[name].cpu_s, after[name].rss_mb) for name in after if name in before})


def publish(stack: Stack, load: Path, messages: int, more: list[str]) -> Callable[[], float]:
    """Start the publisher; the returned call gives the Unix time of its first message."""
    command = [sys.executable, str(BENCH / "publish.py"), str(load), stack.mqtt.rpartition(":")[2], "--messages", str(messages), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("start "):
        raise SystemExit("the publisher did not start")

    def started() -> float:
        process.wait(PATIENCE_S)
        return float(line.split()[1])

    return started


def wait_until_ready(stack: Stack, side: Side) -> None:
    """The worker's group has its partitions, and the bridges have had the same time to subscribe."""
    admin, until = KafkaAdminClient(bootstrap_servers=stack.kafka), time.time() + PATIENCE_S
    while not has_partitions(admin, side.group):
        gone = [name for name, process in side.processes.items() if process.poll() is not None]
        if gone or time.time() > until:
            raise SystemExit(f"{side.name}: {', '.join(gone) or 'the worker'} is not ready; its log is in {stack.home}/log")
        time.sleep(0.5)
    admin.close()
    time.sleep(3)


def has_partitions(admin: KafkaAdminClient, group: str) -> bool:
    told = admin.describe_groups([group])[group]
    return told["group_state"] == "Stable" and bool(told["members"])


def latency(stack: Stack, side: Side, load: Path, rate: float, messages: int) -> tuple[float, float, int]:
    """p50 and p99 seconds from publish to visible, at a steady rate."""
    order = {payload: n for n, (_, payload, *_) in enumerate(msgspec.msgpack.decode((load / "load.msgpack").read_bytes())[:messages])}
    seen: list[tuple[float, bytes]] = []
    with psycopg.connect(side.dsn, autocommit=True) as connection:
        wait_until_ready(stack, side)
        started = publish(stack, load, messages, ["--rate", str(rate)])
        last, until = 0, time.time() + PATIENCE_S
        while side.count(connection) < messages and time.time() < until:
            last = look(side, connection, last, seen)
            time.sleep(0.02)
        look(side, connection, last, seen)
    first = started()
    late = sorted(at - (first + order[payload] / rate) for at, body in seen for payload in side.payloads(body))
    if len(late) != messages:
        raise SystemExit(f"{side.name}: {len(late)} of {messages} messages were seen")
    return late[len(late) // 2], late[int(len(late) * 0.99)], len(late)


def look(side: Side, connection: psycopg.Connection, last: int, seen: list[tuple[float, bytes]]) -> int:
    rows = connection.execute(side.evidence, (last,)).fetchall()  # type: ignore[arg-type]
    at = time.time()
    seen += [(at, bytes(body)) for _, body in rows]
    return rows[-1][0] if rows else last


def show(run: Run) -> None:
    print(f"{run.name}: {run.messages} messages in {run.seconds:.2f} s, {run.rate:,.0f} msg/s, {run.rate * VALUES:,.0f} readings/s")
    for name, one in run.costs.items():
        print(f"  {name:12} {one.cpu_s:6.2f} s CPU, {one.cpu_s / run.messages * 1e6:5.0f} µs a message, {one.rss_mb:6.0f} MB")


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
