-- Tokens for the console and its API. A token is shown once, when it is made; here is only its hash, who holds it, as what, and until when.
CREATE TABLE token (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sha256 bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
  person text NOT NULL REFERENCES person,
  role text NOT NULL CHECK (role IN ('operator', 'verifier', 'reviewer', 'administrator')),
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  CHECK (expires_at > made_at)
);
CREATE INDEX token_person ON token (person);
