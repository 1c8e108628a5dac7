-- What is needed by those who ask, and by the people on call: replies, schedules, alerts, audit.

ALTER TABLE balance_requests
    ADD COLUMN reply_task text,
    ADD COLUMN reply_queue text,
    ADD COLUMN include_accounts boolean NOT NULL DEFAULT false,
    ADD CHECK ((reply_task IS NULL) = (reply_queue IS NULL));
COMMENT ON COLUMN balance_requests.reply_task IS 'The caller''s own Celery task that is told how the request ended.';
COMMENT ON COLUMN balance_requests.include_accounts IS 'The caller wants the amounts in that message; they pass through Redis then.';

CREATE TABLE replies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id uuid NOT NULL REFERENCES balance_requests (id),
    state text NOT NULL CHECK (state IN ('completed', 'failed', 'timed_out', 'refused')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    UNIQUE (request_id, state)
);
COMMENT ON TABLE replies IS 'What callers'' own tasks are told; written with the move that it tells of, sent at least once. The id is the event''s.';
COMMENT ON COLUMN replies.sent_at IS 'Also of one that a later ending has overtaken, and that was not sent.';
CREATE INDEX replies_waiting ON replies (next_attempt_at) WHERE sent_at IS NULL;
