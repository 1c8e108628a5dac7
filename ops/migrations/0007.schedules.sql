-- What is needed to ask by itself: schedules of shortcodes.

CREATE TABLE schedules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shortcode text NOT NULL REFERENCES shortcodes (shortcode),
    crontab text,
    every_seconds integer CHECK (every_seconds > 0),
    time_zone text NOT NULL DEFAULT 'Africa/Nairobi',
    spread_seconds integer NOT NULL DEFAULT 60 CHECK (spread_seconds >= 0),
    next_due_at timestamptz,
    last_due_at timestamptz,
    last_request_id uuid,
    paused_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(crontab, every_seconds) = 1)
);
COMMENT ON COLUMN schedules.next_due_at IS 'NULL until the next tick has planned it. By the clock of the schedules: see SCHEDULE_SPEED.';
COMMENT ON COLUMN schedules.spread_seconds IS 'Each shortcode has a moment of its own within so many seconds, so that not all ask at once.';
CREATE INDEX schedules_due ON schedules (next_due_at NULLS FIRST) WHERE paused_at IS NULL;
