"""`jcredit run …`: one of the product's own processes, in the foreground. `jcredit start` keeps them all up."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from console.cli import place
from console.cli.trouble import NO_SERVICE, Trouble, say

app = typer.Typer(no_args_is_help=True, help="Run one process of the product in the foreground (jcredit start keeps them all up).")
Number = Annotated[int, typer.Option(help="its fixed number: the client id is made of it, and no two run under one number")]


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="run")


def until_told() -> Callable[[], bool]:
    """Whether somebody has asked this process to end."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: told.append(got))
    return lambda: bool(told)


def ready(name: str) -> None:
    """Tell `jcredit start` that this process does its work now: its pid in a file."""
    file = place.home() / "run" / f"{name}{os.environ.get('JCREDIT_TOPIC_SUFFIX', '')}.ready"
    file.write_text(str(os.getpid()))
    say(f"{name} is ready")


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("jcredit").setLevel(logging.INFO)


@app.command()
def bridge(number: Number, leave: Annotated[bool, typer.Option(help="when ended, drain and take the session away for good")] = False) -> None:
    """MQTT in, Kafka out: verify, gather segments, acknowledge after Kafka has them."""
    from kafka.errors import KafkaError

    from ingest.app import Bridge
    from ingest.kafka import Sender
    from ingest.register_timescale import RegisterAway, RegisterView

    log_to_stderr()
    stopping, where = until_told(), place.stack()
    try:
        sender, view = Sender(where.kafka, *place.topics()), RegisterView(place.dsn())
    except (KafkaError, RegisterAway) as error:
        raise Trouble(f"the bridge can not start: {error}", NO_SERVICE) from error
    subscription = f"$share/{place.share()}/jcredit/v1/+/telemetry"
    one = Bridge(mqtt=where.mqtt, client_id=f"{place.share()}-bridge-{number}", sender=sender, register=view, subscription=subscription)
    one.run(stopping, lambda: ready(f"bridge-{number}"), leaving=lambda: leave)


@app.command()
def worker(number: Number, ack_every_s: Annotated[float, typer.Option(help="how often a gateway hears what is settled")] = 0.0) -> None:
    """Kafka in, TimescaleDB out: half hours, flags, evidence, and the acks to gateways."""
    import faust

    from anomaly.timescale import SlotTests
    from stream.app import Settings, make_app
    from stream.kafka import topics

    log_to_stderr()
    where, (telemetry, rejected) = place.stack(), place.topics()
    data = where.home / "faust" / f"{place.share()}-{number}"
    data.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        kafka=where.kafka,
        mqtt=where.mqtt,
        dsn=place.dsn(),
        number=number,
        telemetry=telemetry,
        rejected=rejected,
        topics=topics(where.kafka, [telemetry, rejected]),
        group=f"{place.share()}-worker",
        ack_every_s=ack_every_s or float(os.environ.get("JCREDIT_ACK_EVERY_S", "60")),
        data_dir=str(data),
    )
    app = make_app(settings, SlotTests(), lambda: ready(f"worker-{number}"))
    faust.Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False).execute_from_commandline()


@app.command()
def jobs() -> None:
    """Tell Kafka what the outbox holds; write down what gateways say of themselves."""
    from stream.jobs import Jobs

    log_to_stderr()
    stopping, where = until_told(), place.stack()
    ready("jobs")
    Jobs(dsn=place.dsn(), kafka=where.kafka, mqtt=where.mqtt).run(stopping)


@app.command()
def console() -> None:
    """The web desk of the three roles and the HTTP API."""
    import uvicorn

    from console.web.app import make_app

    host, _, port = place.stack().console.removeprefix("http://").rpartition(":")
    uvicorn.run(make_app(place.dsn(), home=place.home(), registry=place.registry()), host=host, port=int(port), log_level="warning")


@app.command()
def registry() -> None:
    """The registry simulator: accounts, issuance, enquiries, and faults to be switched on."""
    from simulators import registry as simulator

    host, _, port = place.registry().removeprefix("http://").rpartition(":")
    simulator.run(host, int(port), place.home() / "registry.sqlite")
