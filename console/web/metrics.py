"""Prometheus text: families of numbers, each said what it is. No name of a person, member or site is in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One metric: `samples` are labels and value."""

    name: str
    kind: str
    text: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def exposition(families: Iterable[Family]) -> str:
    """The families as Prometheus reads them."""
    return "".join(_family(family) for family in families)


def _family(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}"]
    return "\n".join([*lines, *(f"{family.name}{_labels(labels)} {value:.15g}" for labels, value in family.samples)]) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
