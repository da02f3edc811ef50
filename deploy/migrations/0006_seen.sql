-- When a gateway was last heard follows from what came of it; why a key ended; which meter events the stream has judged a meter's rows with.
DROP TABLE gateway_seen;

CREATE VIEW gateway_seen AS  -- when the segment with a gateway's highest seq was complete; a gateway that was never heard has no row
SELECT g.id AS gateway, e.received_at
FROM gateway g
CROSS JOIN LATERAL (SELECT m.segment FROM message m WHERE m.gateway = g.id ORDER BY m.seq DESC LIMIT 1) AS last
JOIN evidence e ON e.segment = last.segment;

ALTER TABLE key ADD COLUMN revoked_reason text;

ALTER TABLE meter_event ADD COLUMN taken_up_at timestamptz;  -- NULL until the stream has judged the meter's rows with this event
CREATE INDEX meter_event_waiting ON meter_event (meter) WHERE taken_up_at IS NULL;
