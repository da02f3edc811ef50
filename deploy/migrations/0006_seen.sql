-- When a gateway was last heard is read from its messages; a record of a meter is in force once its rows were judged with it; a revocation has a reason.
DROP TABLE gateway_seen;
CREATE VIEW gateway_seen AS
SELECT g.id AS gateway, last.received_at FROM gateway g
JOIN LATERAL (
  SELECT e.received_at FROM message m JOIN evidence e USING (segment) WHERE m.gateway = g.id ORDER BY m.seq DESC LIMIT 1
) last ON true;

ALTER TABLE key ADD COLUMN revoked_reason text;

ALTER TABLE meter_event ADD COLUMN taken_up_at timestamptz;  -- null until the stream has judged the meter's rows with this record
CREATE INDEX meter_event_new ON meter_event (meter) WHERE taken_up_at IS NULL;
