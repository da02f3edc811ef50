-- Who may send, from which site, about which meter. Rows are added or ended, never rewritten: a key is judged by what stood here at receive time.
CREATE EXTENSION IF NOT EXISTS timescaledb;
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE project (
  project text PRIMARY KEY,
  name text NOT NULL,
  scheme text NOT NULL,
  methodology text NOT NULL,
  operator text NOT NULL,
  registration_applied_on date NOT NULL,
  certified_from date NOT NULL,
  certified_to date NOT NULL,  -- exclusive
  area text,
  enrolled_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE site (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  site text NOT NULL UNIQUE,
  lat double precision NOT NULL,
  lon double precision NOT NULL,
  alt double precision,
  dc_kw double precision NOT NULL,
  ac_kw double precision NOT NULL,
  tilt double precision,
  azimuth double precision,
  operation_start date NOT NULL,
  exports boolean NOT NULL,
  region text,
  pcs_maker text,
  pcs_model text,
  pcs_serial text,
  supply_point text,
  battery text,
  enrolled_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE member (
  activity text PRIMARY KEY,
  member text NOT NULL,
  project text NOT NULL REFERENCES project,
  site int NOT NULL REFERENCES site UNIQUE,
  applied_on date NOT NULL,
  consented_on date NOT NULL,
  joined_on date,
  left_on date,  -- exclusive: the first day that is not the programme's any more
  enrolled_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE member_person (  -- personal data, kept apart from evidence
  member text PRIMARY KEY,
  name text,
  address text
);

CREATE TABLE gateway (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gateway text NOT NULL UNIQUE,
  site int NOT NULL REFERENCES site,
  firmware text,
  enrolled_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE key (
  kid text PRIMARY KEY,
  gateway int NOT NULL REFERENCES gateway,
  public_key bytea NOT NULL CHECK (length(public_key) = 32),
  enrolled_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX key_changed ON key (changed_at);
CREATE INDEX key_gateway ON key (gateway);

CREATE TABLE meter (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter text NOT NULL UNIQUE,
  site int NOT NULL REFERENCES site,
  gateway int NOT NULL REFERENCES gateway,
  register text NOT NULL CHECK (register IN ('generation', 'export', 'pcs', 'charge', 'discharge', 'auxiliary')),
  modulus_wh bigint NOT NULL CHECK (modulus_wh > 0),
  serial text,
  resolution_wh bigint NOT NULL DEFAULT 1 CHECK (resolution_wh > 0),
  specified boolean,
  verified_until date,   -- first day of the month after the stated one: exclusive
  calibration text,
  two_way boolean NOT NULL DEFAULT false,
  enrolled_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX meter_gateway ON meter (gateway);
CREATE INDEX meter_site ON meter (site);

CREATE TABLE meter_event (
  meter int NOT NULL REFERENCES meter,
  at timestamptz NOT NULL,
  kind text NOT NULL CHECK (kind IN ('swap', 'reset')),
  closing_wh bigint,
  opening_wh bigint,
  serial text,
  written_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (meter, at)
);
