-- Who decides, what a claim said when it was frozen, and each step that it took. A frozen claim is never computed again from what arrived later.

CREATE TABLE person (
  person text PRIMARY KEY,
  role text NOT NULL CHECK (role IN ('operator', 'confirmer', 'verifier', 'reviewer', 'administrator')),
  organisation text,
  did text,  -- did:key of the key that signs for this person; the key itself is never here
  added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE factor_file (
  sha256 text PRIMARY KEY CHECK (length(sha256) = 64),
  name text NOT NULL,
  content bytea NOT NULL,
  loaded_by text NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE factor (
  sha256 text NOT NULL REFERENCES factor_file,
  fiscal_year int NOT NULL,
  kind text NOT NULL CHECK (kind IN ('all_source', 'marginal')),
  kg_per_kwh numeric NOT NULL CHECK (kg_per_kwh BETWEEN 0.2 AND 1.0),
  source text NOT NULL,
  PRIMARY KEY (sha256, fiscal_year, kind)
);

CREATE TABLE factor_confirmation (  -- by a second person, who read the official table too
  sha256 text NOT NULL REFERENCES factor_file,
  person text NOT NULL,
  confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (sha256, person)
);

CREATE TABLE claim (
  claim text PRIMARY KEY,  -- explains itself: demo-fy2021-001
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  project text NOT NULL REFERENCES project,
  start_on date NOT NULL,
  end_on date NOT NULL,    -- exclusive
  plan jsonb NOT NULL,     -- what the operator's plan chose: factor steps, incidental emissions
  state text NOT NULL DEFAULT 'draft'
    CHECK (state IN ('draft', 'verified', 'signed', 'approved', 'issued', 'returned', 'rejected', 'withdrawn', 'suspended')),
  approvals_needed smallint NOT NULL CHECK (approvals_needed > 0),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  round int NOT NULL DEFAULT 0,  -- how often it was frozen
  frozen_at timestamptz,
  verified_by text,
  signed_by text,
  opinion text CHECK (opinion IN ('unmodified', 'modified', 'adverse', 'disclaimer')),
  tonnes bigint,                 -- sum of the floored years; NULL while it can not be said
  tonnes_by_year jsonb,          -- {"2021": 17}
  mwh_by_year jsonb,             -- {"2021": "41.234567"}: text, exact
  report_sha256 text,
  statement_sha256 text,         -- of the canonical unsecured statement that was signed
  CHECK (end_on > start_on)
);
CREATE INDEX claim_project ON claim (project);

CREATE TABLE claim_day (
  claim text NOT NULL REFERENCES claim,
  activity text NOT NULL,
  day date NOT NULL,
  generation_wh bigint NOT NULL,  -- of the credited intervals, as all energies here
  export_wh bigint NOT NULL,
  charge_wh bigint NOT NULL,
  discharge_wh bigint NOT NULL,
  auxiliary_wh bigint NOT NULL,
  loss_wh bigint NOT NULL,        -- the member's battery loss, shared over the days by what was charged, to the last Wh
  el_pj_wh bigint NOT NULL,
  credited smallint NOT NULL,     -- half hours
  held smallint NOT NULL,
  excluded smallint NOT NULL,
  missing smallint NOT NULL,
  PRIMARY KEY (claim, activity, day)
);

CREATE TABLE claim_slots (  -- the fate of every half hour of the claim, frozen
  claim text NOT NULL REFERENCES claim,
  activity text NOT NULL,
  runs jsonb NOT NULL,            -- [[start, end, fate, reason], …], Unix seconds
  PRIMARY KEY (claim, activity)
);

CREATE TABLE claim_input (  -- what the claim was frozen over
  claim text PRIMARY KEY REFERENCES claim,
  segments bigint[] NOT NULL,     -- evidence
  document jsonb NOT NULL         -- enrolment, events, factors, holds and conflicts as they stood
);

CREATE TABLE claim_result (
  claim text NOT NULL REFERENCES claim,
  item text NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('pass', 'fail', 'could not run', 'not applicable')),
  reason_ja text NOT NULL,
  reason_en text NOT NULL,
  population bigint NOT NULL,
  stake_t numeric,
  value jsonb,
  evidence jsonb NOT NULL,
  PRIMARY KEY (claim, item)
);

CREATE TABLE report (
  claim text NOT NULL REFERENCES claim,
  round int NOT NULL,
  content bytea NOT NULL,         -- RFC 8785 JSON
  sha256 text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (claim, round)
);

CREATE TABLE statement (
  claim text NOT NULL REFERENCES claim,
  round int NOT NULL,
  sha256 text NOT NULL,
  content bytea NOT NULL,         -- RFC 8785 JSON of the unsecured credential
  secured bytea,                  -- as the body signed it
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (claim, round, sha256)
);

CREATE TABLE instead (  -- what the body did where an item could not run or failed
  claim text NOT NULL REFERENCES claim,
  round int NOT NULL,
  item text NOT NULL,
  person text NOT NULL,
  reason text NOT NULL,
  file_name text NOT NULL,
  sha256 text NOT NULL,
  content bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (claim, round, item, sha256)
);

CREATE TABLE claim_event (  -- who did what, when and why; added to, never changed
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  claim text NOT NULL REFERENCES claim,
  round int NOT NULL,
  what text NOT NULL,
  person text NOT NULL,
  reason text,
  detail jsonb,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX claim_event_claim ON claim_event (claim, id);
CREATE RULE claim_event_keeps AS ON UPDATE TO claim_event DO INSTEAD NOTHING;
CREATE RULE claim_event_stays AS ON DELETE TO claim_event DO INSTEAD NOTHING;

CREATE TABLE certified (  -- written at signing: in this system nothing is certified twice
  activity text NOT NULL,
  period daterange NOT NULL,
  claim text NOT NULL REFERENCES claim,
  PRIMARY KEY (claim, activity),
  CONSTRAINT certified_once EXCLUDE USING gist (activity WITH =, period WITH &&)
);
