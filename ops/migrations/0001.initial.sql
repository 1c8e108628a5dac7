-- The tables of the house: who is asked, who asked, what was asked, what was answered.
-- Every instant is timestamptz and comes from the database clock unless its comment says otherwise.

CREATE TABLE daraja_apps (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    environment text NOT NULL CHECK (environment IN ('sandbox', 'production')),
    base_url text NOT NULL,
    certificate bytea,
    consumer_key bytea NOT NULL,
    consumer_secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN daraja_apps.certificate IS 'PEM or DER that security credentials are made for; NULL for the environment''s own.';
COMMENT ON COLUMN daraja_apps.consumer_key IS 'Sealed.';
COMMENT ON COLUMN daraja_apps.consumer_secret IS 'Sealed.';

CREATE TABLE shortcodes (
    shortcode text PRIMARY KEY CHECK (shortcode ~ '^[0-9]{5,12}$'),
    app text NOT NULL REFERENCES daraja_apps (name),
    identifier_type smallint NOT NULL CHECK (identifier_type IN (1, 2, 4)),
    initiator text NOT NULL,
    credential_kind text NOT NULL CHECK (credential_kind IN ('password', 'security_credential')),
    credential bytea NOT NULL,
    credential_set_at timestamptz NOT NULL DEFAULT now(),
    suspended_at timestamptz,
    suspended_because text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((suspended_at IS NULL) = (suspended_because IS NULL))
);
COMMENT ON COLUMN shortcodes.credential IS 'Sealed: the initiator''s password, or a ready-made security credential.';

CREATE TABLE balance_queries (
    id uuid PRIMARY KEY,
    shortcode text NOT NULL REFERENCES shortcodes (shortcode),
    remarks text NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'acknowledged', 'completed', 'failed', 'timed_out')),
    late boolean NOT NULL DEFAULT false,
    attempts smallint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    rung_at timestamptz NOT NULL DEFAULT now(),
    deadline_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    result_code text,
    result_description text,
    transaction_id text,
    completed_at timestamptz
);
COMMENT ON COLUMN balance_queries.late IS 'The result came after the query had timed out.';
COMMENT ON COLUMN balance_queries.next_attempt_at IS 'No submission starts before this; starting one moves it past the attempt''s grace.';
COMMENT ON COLUMN balance_queries.rung_at IS 'When its submission task was last sent.';
COMMENT ON COLUMN balance_queries.completed_at IS 'BOCompletedTime: when M-PESA says that it finished.';

-- What is open is a sliver of what is stored, and everything that sweeps looks only there.
CREATE INDEX balance_queries_due ON balance_queries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX balance_queries_overdue ON balance_queries (deadline_at) WHERE state IN ('pending', 'acknowledged');
CREATE INDEX balance_queries_of_shortcode ON balance_queries (shortcode, created_at DESC);

-- The machine a second time, so that a hand at psql cannot break it. states.py is its source;
-- a test holds the two against each other for every pair of states.
CREATE FUNCTION refuse_unknown_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.state, NEW.state) NOT IN (
        ('pending', 'acknowledged'), ('pending', 'completed'), ('pending', 'failed'), ('pending', 'timed_out'),
        ('acknowledged', 'completed'), ('acknowledged', 'failed'), ('acknowledged', 'timed_out'),
        ('timed_out', 'completed'), ('timed_out', 'failed')
    ) THEN
        RAISE EXCEPTION 'balance query % may not go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER balance_queries_moves BEFORE UPDATE OF state ON balance_queries
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION refuse_unknown_moves();

CREATE FUNCTION refuse_other_beginnings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'balance query % must begin as pending, not as %', NEW.id, NEW.state
        USING ERRCODE = 'check_violation';
END;
$$;
CREATE TRIGGER balance_queries_beginnings BEFORE INSERT ON balance_queries
    FOR EACH ROW WHEN (NEW.state <> 'pending') EXECUTE FUNCTION refuse_other_beginnings();

CREATE TABLE balance_requests (
    id uuid PRIMARY KEY,
    shortcode text,
    idempotency_key text,
    requested_by text,
    query_id uuid REFERENCES balance_queries (id),
    refusal text,
    requested_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(query_id, refusal) = 1)
);
COMMENT ON TABLE balance_requests IS 'What callers asked. Many may be answered by one query; a refused one says why.';
COMMENT ON COLUMN balance_requests.shortcode IS 'As it was asked; NULL where what was asked was no shortcode at all.';
CREATE INDEX balance_requests_of_query ON balance_requests (query_id);

CREATE TABLE submission_attempts (
    id uuid PRIMARY KEY,
    query_id uuid NOT NULL REFERENCES balance_queries (id),
    number smallint NOT NULL,
    state text NOT NULL DEFAULT 'sending'
        CHECK (state IN ('sending', 'acknowledged', 'not_taken', 'refused', 'unknown')),
    sent_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    http_status smallint,
    code text,
    description text,
    originator_conversation_id text,
    conversation_id text,
    UNIQUE (query_id, number)
);
COMMENT ON TABLE submission_attempts IS 'Every time a query was put to Daraja; committed before the request is sent. The callback address names the attempt.';
COMMENT ON COLUMN submission_attempts.state IS 'not_taken: Daraja certainly did not take it; unknown: it may have.';

CREATE TABLE callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('result', 'timeout')),
    digest bytea NOT NULL,
    payload bytea NOT NULL,
    address text,
    received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL DEFAULT 1,
    disposition text CHECK (disposition IN ('applied', 'noted', 'conflict', 'unmatched', 'unreadable')),
    reason text,
    UNIQUE (attempt_id, kind, digest)
);
COMMENT ON COLUMN callbacks.attempt_id IS 'From the signed address; no foreign key, because a restored backup may have lost the attempt.';
COMMENT ON COLUMN callbacks.digest IS 'Keyed by the address''s token: equal for equal bytes, and useless for guessing them.';
COMMENT ON COLUMN callbacks.payload IS 'Sealed: the bytes as they came.';
COMMENT ON COLUMN callbacks.deliveries IS 'How often these bytes were recorded: Daraja''s deliveries, and our own repetitions.';
COMMENT ON COLUMN callbacks.received_at IS 'By the clock of the webhook host.';
CREATE INDEX callbacks_inbox ON callbacks (recorded_at) WHERE disposition IN ('conflict', 'unmatched', 'unreadable');

CREATE TABLE balances (
    query_id uuid PRIMARY KEY REFERENCES balance_queries (id),
    shortcode text NOT NULL,
    callback_id bigint NOT NULL REFERENCES callbacks (id),
    document bytea NOT NULL,
    warnings text[] NOT NULL,
    as_of timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN balances.as_of IS 'When M-PESA says that the balances stood so, or when they were asked for; a late result is older than it came.';
COMMENT ON COLUMN balances.document IS 'Sealed: {"accounts": [...], "raw": "..."} with decimal strings.';
CREATE INDEX balances_of_shortcode ON balances (shortcode, as_of DESC);

CREATE TABLE query_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query_id uuid NOT NULL REFERENCES balance_queries (id),
    state text NOT NULL,
    cause text NOT NULL,
    attempt_id uuid,
    callback_id bigint,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE query_events IS 'Every move, appended in the statement that made it.';
CREATE INDEX query_events_of_query ON query_events (query_id, id);

CREATE TABLE outbox (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    topic text NOT NULL,
    query_id uuid REFERENCES balance_queries (id),
    callback_id bigint REFERENCES callbacks (id),
    message text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
COMMENT ON TABLE outbox IS 'What others must be told; written with what it tells of, delivered at least once.';
CREATE INDEX outbox_waiting ON outbox (created_at) WHERE delivered_at IS NULL;
