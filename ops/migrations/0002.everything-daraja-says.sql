-- What is needed to ask no more than is wanted: pacing, joining, retrying, suspending, replaying.

ALTER TABLE daraja_apps
    ADD COLUMN requests_per_second numeric(9, 4) NOT NULL DEFAULT 5 CHECK (requests_per_second > 0),
    ADD COLUMN next_slot_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN daraja_apps.requests_per_second IS 'What Daraja lets this app send; all workers together stay below it.';
COMMENT ON COLUMN daraja_apps.next_slot_at IS 'No submission of this app before this. Each one moves it on, and a used-up quota moves it far.';

ALTER TABLE shortcodes
    ADD COLUMN resumed_at timestamptz,
    ADD COLUMN password_told text CHECK (password_told IN ('ageing', 'expired'));
COMMENT ON COLUMN shortcodes.resumed_at IS 'A refusal of what was sent before this does not suspend again.';
COMMENT ON COLUMN shortcodes.password_told IS 'What was told of the password''s age; a new password is told of again.';

ALTER TABLE balance_queries
    ADD COLUMN forced boolean NOT NULL DEFAULT false,
    ADD COLUMN retry_of uuid REFERENCES balance_queries (id),
    ADD COLUMN retries smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN balance_queries.forced IS 'Opened although another one of its shortcode was in flight or had just been answered.';
COMMENT ON COLUMN balance_queries.retry_of IS 'The query whose result asked for another try; its requests moved to this one.';

-- Until now nothing kept two queries of one shortcode from being in flight.
UPDATE balance_queries SET forced = true WHERE state IN ('pending', 'acknowledged');
CREATE UNIQUE INDEX balance_queries_in_flight ON balance_queries (shortcode)
    WHERE state IN ('pending', 'acknowledged') AND NOT forced;
CREATE UNIQUE INDEX balance_queries_retried_once ON balance_queries (retry_of) WHERE retry_of IS NOT NULL;

ALTER TABLE balance_requests
    ADD COLUMN answered_by text CHECK (answered_by IN ('opened', 'joined', 'reused', 'too_soon')),
    ADD COLUMN next_possible_at timestamptz;
COMMENT ON COLUMN balance_requests.answered_by IS 'opened: a query of its own; joined: the one in flight; reused: a balance young enough; too_soon: the balance at hand.';
UPDATE balance_requests SET answered_by = 'opened' WHERE query_id IS NOT NULL;
-- A worker that is not up to date yet says nothing of it.
ALTER TABLE balance_requests ADD CHECK (answered_by IS NULL OR query_id IS NOT NULL);

ALTER TABLE callbacks ADD COLUMN flagged boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN callbacks.flagged IS 'Its sender is none of the addresses that Safaricom is known to send from.';

CREATE TABLE callback_replays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    callback_id bigint NOT NULL REFERENCES callbacks (id),
    replayed_by text NOT NULL,
    disposition_before text,
    disposition text NOT NULL,
    reason text,
    replayed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE callback_replays IS 'Who let a callback be looked at again, and what became of it then.';
CREATE INDEX callback_replays_of_callback ON callback_replays (callback_id);

ALTER TABLE outbox ADD COLUMN shortcode text;
COMMENT ON COLUMN outbox.shortcode IS 'Where it is about a shortcode rather than about one query of it.';
