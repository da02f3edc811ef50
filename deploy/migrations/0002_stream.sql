-- What arrived, kept whole, and the half hours made from it. All but position, evidence, rejected and unread can be made again from evidence.

CREATE TABLE position (  -- once, although Kafka delivers at least once: a segment is done when this row has moved past it
  topic_id uuid NOT NULL,
  partition int NOT NULL,
  next_offset bigint NOT NULL,
  PRIMARY KEY (topic_id, partition)
);

CREATE TABLE evidence (
  segment bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic_id uuid NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  messages int NOT NULL,
  received_at timestamptz NOT NULL,  -- of its last message
  body bytea NOT NULL,               -- exactly as it came from Kafka
  UNIQUE (topic_id, partition, "offset")
);
ALTER TABLE evidence ALTER COLUMN body SET STORAGE EXTERNAL;  -- it is zstd already

CREATE TABLE message (  -- which occurrence of (gateway, seq) counts: the first by (offset, place)
  gateway int NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL,
  segment bigint NOT NULL,
  place smallint NOT NULL,
  refused text,  -- a reason of refusal: it keeps its place in the chain and earns nothing
  PRIMARY KEY (gateway, seq)
);

CREATE TABLE chain (  -- a bookmark: everything up to settled_seq is settled, perhaps more; written now and then
  gateway int PRIMARY KEY,
  settled_seq bigint NOT NULL
);

CREATE TABLE rejected (  -- a message without a good signature, as received
  topic_id uuid NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  reason text NOT NULL,
  detail text,
  origin text,
  received_at timestamptz NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (topic_id, partition, "offset")
);

CREATE TABLE unread (  -- a segment that ended a worker three times: kept, alarmed, passed over, its acks withheld
  topic_id uuid NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  attempts int NOT NULL,
  error text,
  at timestamptz NOT NULL DEFAULT now(),
  passed_over boolean NOT NULL DEFAULT false,
  body bytea,
  PRIMARY KEY (topic_id, partition, "offset")
);

CREATE TABLE tally (  -- counts that survive restarts; a row a partition, so that workers do not wait for each other
  partition int NOT NULL,
  what text NOT NULL CHECK (what IN ('accepted', 'repeated', 'conflicting', 'refused')),
  reason text NOT NULL DEFAULT '',
  count bigint NOT NULL,
  PRIMARY KEY (partition, what, reason)
);

-- A row is a half-hour edge that was read; its interval runs from the edge before it that was read and can be true.
-- state: 0 opening (nothing to run from), 1 credited, 2 spread, 3 held, 4 untrue (read, but can not be true: no interval ends here)
CREATE TABLE interval (
  meter int NOT NULL,
  end_at timestamptz NOT NULL,
  register_wh bigint NOT NULL,
  start_at timestamptz,
  energy_wh bigint,   -- of a held row: what would be claimed were it released
  state smallint NOT NULL CHECK (state BETWEEN 0 AND 4),
  code text NOT NULL DEFAULT '',
  rule_set text NOT NULL,
  PRIMARY KEY (meter, end_at)
);
SELECT create_hypertable('interval', 'end_at', chunk_time_interval => INTERVAL '30 days', create_default_indexes => false);

CREATE TABLE flag (
  meter int NOT NULL,
  start_at timestamptz NOT NULL,
  end_at timestamptz NOT NULL,
  code text NOT NULL,
  level text NOT NULL CHECK (level IN ('hold', 'warn')),
  observed double precision NOT NULL,
  bound double precision NOT NULL,
  energy_at_stake_wh bigint NOT NULL,
  rule_set text NOT NULL,
  PRIMARY KEY (meter, end_at, code)
);

CREATE TABLE conflict (  -- the same (gateway, seq) with other bytes, or the same (meter, instant) with another value: the first stays
  gateway int NOT NULL,
  seq bigint NOT NULL,
  segment bigint NOT NULL,
  place smallint NOT NULL,
  meter int,
  at timestamptz,
  first_wh bigint,
  other_wh bigint
);
CREATE UNIQUE INDEX conflict_once ON conflict (segment, place, COALESCE(meter, 0), COALESCE(at, '-infinity'));
CREATE INDEX conflict_meter ON conflict (meter, at);

CREATE TABLE gateway_status (  -- what a gateway last said of itself
  gateway int PRIMARY KEY,
  state text NOT NULL,
  at timestamptz NOT NULL,
  version text,
  spooled bigint,
  clock_offset_ms bigint,
  seen_at timestamptz NOT NULL
);

CREATE TABLE gateway_seen (  -- last message of a gateway, for the operator at 7 in the morning
  gateway int PRIMARY KEY,
  received_at timestamptz NOT NULL
);

CREATE TABLE outbox (  -- a fact to be told on Kafka, written in the transaction that made it; key = id, at least once
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  value jsonb NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE sent_at IS NULL;
