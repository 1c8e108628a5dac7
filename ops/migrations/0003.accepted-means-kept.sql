-- What is needed so that whatever was accepted is finished: judgements, ticks, quarantine.

ALTER TABLE callbacks
    ADD COLUMN judgings smallint NOT NULL DEFAULT 0,
    ADD COLUMN judging_at timestamptz,
    ADD COLUMN rung_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN callbacks.judgings IS 'How often its judgement was begun; committed before it begins.';
COMMENT ON COLUMN callbacks.judging_at IS 'When it was begun last. What has no disposition a while later has lost its worker.';
COMMENT ON COLUMN callbacks.rung_at IS 'When somebody was last told that it waits for its judgement.';
-- An older worker judges in the transaction that records, so it leaves nothing here.
CREATE INDEX callbacks_unfinished ON callbacks (judging_at) WHERE disposition IS NULL;

CREATE TABLE ticks (
    job text PRIMARY KEY,
    slot bigint NOT NULL,
    ticked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ticks IS 'The last tick of each periodic job: any number of clocks may send them, each is run once.';
COMMENT ON COLUMN ticks.slot IS 'Seconds since 1970 by the database clock, divided by the job''s interval.';

CREATE TABLE quarantined_tasks (
    id uuid PRIMARY KEY,
    task text NOT NULL,
    message bytea NOT NULL,
    reason text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE quarantined_tasks IS 'Tasks that ended their process again and again, kept for a person to look at.';
COMMENT ON COLUMN quarantined_tasks.message IS 'Sealed: the keyword arguments, as JSON.';
