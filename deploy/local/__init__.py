"""The real services without Docker: TimescaleDB, Mosquitto and Apache Kafka under one folder (`.local`), the host untouched.

`stack` is the way in: `up`, `down`, `load`, `states`. `debian` and `kafka` fetch programs, `timescaledb`, `mosquitto` and `kafka` say how each is
set up and started, `service` starts and stops by pid and start time, `ports` chooses addresses, `processes` runs the product itself on the stack.
"""


class MissingError(Exception):
    """Something that is needed is not there; the text is one sentence that says what, why it matters and the way out."""
