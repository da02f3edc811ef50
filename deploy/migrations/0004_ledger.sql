-- The record that says what became of a reduction. Rows of ledger and serial_block are added, never changed, never taken away.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused; a mistake is put right by a new entry', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE ledger (
  entry bigint PRIMARY KEY CHECK (entry > 0),  -- 1, 2, 3, … without a hole
  kind text NOT NULL CHECK (kind IN ('reduction verified', 'batch approved', 'credits issued', 'transferred', 'invalidated', 'cancelled', 'corrected')),
  claim text NOT NULL REFERENCES claim,
  round int NOT NULL CHECK (round >= 0),       -- how often the claim was set aside before this entry
  value jsonb NOT NULL,
  at timestamptz NOT NULL,
  previous bytea NOT NULL CHECK (length(previous) = 32),
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32)
);
CREATE UNIQUE INDEX ledger_once ON ledger (claim, kind, round) WHERE kind IN ('reduction verified', 'batch approved', 'credits issued');
CREATE UNIQUE INDEX ledger_issued_once ON ledger (claim) WHERE kind = 'credits issued';
CREATE INDEX ledger_claim ON ledger (claim, entry);

CREATE FUNCTION ledger_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE last record;
BEGIN
  SELECT entry, hash INTO last FROM ledger ORDER BY entry DESC LIMIT 1;
  IF NEW.entry <> COALESCE(last.entry, 0) + 1 OR NEW.previous <> COALESCE(last.hash, decode(repeat('00', 32), 'hex')) THEN
    RAISE EXCEPTION 'ledger entry % does not follow entry %', NEW.entry, COALESCE(last.entry, 0) USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER ledger_follows BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_follows();
CREATE TRIGGER ledger_keeps BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_stays BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE ledger ENABLE ALWAYS TRIGGER ledger_follows, ENABLE ALWAYS TRIGGER ledger_keeps, ENABLE ALWAYS TRIGGER ledger_stays;

CREATE TABLE batch (  -- one approved claim on its way to the registry
  id text PRIMARY KEY,              -- the idempotency key, made from the claim: an old backup asks for the same block again
  claim text NOT NULL UNIQUE REFERENCES claim,
  tonnes bigint NOT NULL CHECK (tonnes > 0),
  request text NOT NULL,            -- RFC 8785 JSON, sent as these bytes each time
  person text NOT NULL,             -- who asked for it
  made_at timestamptz NOT NULL DEFAULT now(),
  state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'issued')),
  attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  trouble text                      -- what stood in the way of the last attempt
);

CREATE FUNCTION batch_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.id, NEW.claim, NEW.tonnes, NEW.request, NEW.person, NEW.made_at) IS DISTINCT FROM (OLD.id, OLD.claim, OLD.tonnes, OLD.request, OLD.person, OLD.made_at)
     OR (OLD.state = 'issued' AND NEW.state <> 'issued') OR NEW.attempts < OLD.attempts THEN
    RAISE EXCEPTION 'batch %: what was asked of the registry does not change, and an issued batch stays issued', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER batch_keeps BEFORE UPDATE ON batch FOR EACH ROW EXECUTE FUNCTION batch_keeps();
CREATE TRIGGER batch_stays BEFORE DELETE ON batch FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER batch_whole BEFORE TRUNCATE ON batch FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE batch ENABLE ALWAYS TRIGGER batch_keeps, ENABLE ALWAYS TRIGGER batch_stays, ENABLE ALWAYS TRIGGER batch_whole;

CREATE TABLE serial_block (  -- inclusive at both ends; one a claim and fiscal year
  series text NOT NULL,             -- scheme-kind-vintage: DEMO-JC-2021
  first_number bigint NOT NULL CHECK (first_number > 0),
  last_number bigint NOT NULL,
  first text NOT NULL UNIQUE CHECK (first = series || '-' || lpad(first_number::text, 9, '0')),
  last text NOT NULL UNIQUE CHECK (last = series || '-' || lpad(last_number::text, 9, '0')),
  tonnes bigint NOT NULL CHECK (tonnes > 0 AND tonnes = last_number - first_number + 1),
  fiscal_year int NOT NULL,
  claim text NOT NULL REFERENCES claim,
  batch text NOT NULL REFERENCES batch,
  entry bigint NOT NULL REFERENCES ledger,
  PRIMARY KEY (batch, fiscal_year),
  CONSTRAINT serial_once EXCLUDE USING gist (series WITH =, int8range(first_number, last_number, '[]') WITH &&)
);
CREATE INDEX serial_block_claim ON serial_block (claim);
CREATE TRIGGER serial_block_keeps BEFORE UPDATE OR DELETE ON serial_block FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER serial_block_stays BEFORE TRUNCATE ON serial_block FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE serial_block ENABLE ALWAYS TRIGGER serial_block_keeps, ENABLE ALWAYS TRIGGER serial_block_stays;

CREATE FUNCTION claim_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM batch WHERE batch.claim = NEW.claim) THEN
    RAISE EXCEPTION 'claim %: the registry was asked for its credits, so it can not become %; finish with `jcredit issue`, then open a correction', NEW.claim, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER claim_waits BEFORE UPDATE OF state ON claim FOR EACH ROW  -- suspending is the way to stop for a while
  WHEN (NEW.state NOT IN ('approved', 'issued', 'suspended') OR (OLD.state = 'issued' AND NEW.state <> 'issued')) EXECUTE FUNCTION claim_waits();
