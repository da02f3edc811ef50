"""What Kafka says of its topics. A topic made anew has another id, and starts another position row."""

from uuid import UUID

from kafka import KafkaAdminClient


class TopicMissing(Exception):
    """A topic that should be there is not."""


def topic_ids(address: str, names: list[str]) -> dict[str, UUID]:
    """Kafka's id of each topic; TopicMissing names those that are not there."""
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        found = {topic["name"]: UUID(str(topic["topic_id"])) for topic in admin.describe_topics(names) if not topic["error_code"]}
    finally:
        admin.close()
    missing = sorted(set(names) - set(found))
    if missing:
        raise TopicMissing(f"Kafka has no topic {', '.join(missing)}; `jcredit up` makes them")
    return found
