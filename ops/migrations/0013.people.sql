-- Who may look at what in the console and over its API, and by what each is known again.
-- Of whatever lets somebody in only a digest is kept: who reads these tables gets in nowhere.

CREATE TABLE users (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'),
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'administrator')),
    every_shortcode boolean NOT NULL,
    password_hash text,
    oidc_subject text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
COMMENT ON TABLE users IS 'People and services with an account in the console. Never removed, because the audit names them.';
COMMENT ON COLUMN users.every_shortcode IS 'Whether all shortcodes may be seen, also those that are registered later; else those of user_grants.';
COMMENT ON COLUMN users.password_hash IS 'Argon2id. NULL until a password is set by a link.';
COMMENT ON COLUMN users.oidc_subject IS 'Issuer and subject of the first single sign-on; another one of the same name is refused.';

CREATE TABLE user_grants (
    user_name text NOT NULL REFERENCES users (name),
    shortcode text NOT NULL REFERENCES shortcodes (shortcode),
    PRIMARY KEY (user_name, shortcode)
);

CREATE TABLE sign_in_links (
    user_name text PRIMARY KEY REFERENCES users (name),
    digest bytea NOT NULL UNIQUE,
    ends_at timestamptz NOT NULL
);
COMMENT ON TABLE sign_in_links IS 'One-time links that let a password be set. A newer one takes the place of the one before.';
COMMENT ON COLUMN sign_in_links.digest IS 'SHA-256 of 256 random bits.';

CREATE TABLE sessions (
    digest bytea PRIMARY KEY,
    user_name text NOT NULL REFERENCES users (name),
    begun_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN sessions.digest IS 'SHA-256 of 256 random bits.';
COMMENT ON COLUMN sessions.seen_at IS 'When a person last did something; a page that follows by itself does not count.';
CREATE INDEX sessions_of_user ON sessions (user_name);
CREATE INDEX sessions_unseen ON sessions (seen_at);

CREATE TABLE api_tokens (
    id uuid PRIMARY KEY,
    user_name text NOT NULL REFERENCES users (name),
    label text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN api_tokens.digest IS 'SHA-256 of 256 random bits.';
COMMENT ON COLUMN api_tokens.used_at IS 'To the minute: it is not written at every call.';
CREATE INDEX api_tokens_of_user ON api_tokens (user_name);

CREATE TABLE sign_in_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name_digest bytea NOT NULL,
    address text NOT NULL,
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN sign_in_attempts.name_digest IS 'SHA-256 of what was typed as the name, which may be a password.';
COMMENT ON TABLE sign_in_attempts IS 'Attempts that have not succeeded, of the last while: they say when the next is taken.';
CREATE INDEX sign_in_attempts_of_name ON sign_in_attempts (name_digest, tried_at);
CREATE INDEX sign_in_attempts_of_address ON sign_in_attempts (address, tried_at);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (tried_at);

-- The few queries that brought no balance are listed without a look at the others.
CREATE INDEX balance_queries_without_balance ON balance_queries (id) WHERE state IN ('failed', 'timed_out');
