"""What Kafka says of its topics. A topic made anew has another id, and starts another position row."""

from dataclasses import dataclass
from uuid import UUID

from kafka import KafkaAdminClient


class TopicMissing(Exception):
    """A topic that should be there is not."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Kafka's id of a topic, and how many partitions it has."""

    id: UUID
    partitions: int


def topics(address: str, names: list[str]) -> dict[str, Topic]:
    """What Kafka says of each topic; TopicMissing names those that are not there."""
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        told = [topic for topic in admin.describe_topics(names) if not topic["error_code"]]
    finally:
        admin.close()
    found = {topic["name"]: Topic(UUID(str(topic["topic_id"])), len(topic["partitions"])) for topic in told}
    missing = sorted(set(names) - set(found))
    if missing:
        raise TopicMissing(f"Kafka has no topic {', '.join(missing)}; `jcredit up` makes them")
    return found
