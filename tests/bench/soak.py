"""`make bench-soak`: ten minutes of telemetry from 100,000 gateways through the product; nothing lost, memory flat.

    python -m tests.bench.soak [--gateways 100000] [--rounds 9] [--rate 1500]

Ends with `soak: N msg/s, S s, lost L`; exits 1 when something was lost.
"""

import argparse
import sys
import time

import psycopg

from tests import scratch
from tests.bench.chain import make_load, pids, publish, say, wait_until_ready
from tests.bench.measure import cost
from tests.bench.sides import product

SAMPLE_S = 15.0
PATIENCE_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rate", type=float, default=1500.0)
    args = parser.parse_args()
    stack = scratch.up("bench", say)
    load, messages = make_load(stack.home / f"load-{args.gateways}-{args.rounds}", args.gateways, args.rounds)
    with product(stack, load) as side, psycopg.connect(side.dsn, autocommit=True) as connection:
        wait_until_ready(stack, side)
        started = publish(stack, load, messages, ["--rate", str(args.rate)])
        done, moved, samples = 0, time.time(), []
        while done < messages and time.time() - moved < PATIENCE_S:
            time.sleep(SAMPLE_S)
            before, done = done, side.count(connection)
            moved = time.time() if done > before else moved
            samples.append({name: cost(pid).rss_mb for name, pid in pids(stack, side).items()})
            told = ", ".join(f"{name} {mb:.0f}" for name, mb in samples[-1].items())
            print(f"{done:>9,} of {messages:,} committed; MB: {told}", flush=True)
        seconds = moved - started()
    own = [sum(mb for name, mb in one.items() if name in side.processes) for one in samples]
    third = max(len(own) // 3, 1)
    print(f"memory of bridges and worker: {max(own[:third]):.0f} MB at most in the first third, {max(own[-third:]):.0f} MB in the last")
    print(f"soak: {done / seconds:.0f} msg/s, {seconds:.0f} s, lost {messages - done}")
    sys.exit(done != messages)


if __name__ == "__main__":
    main()
