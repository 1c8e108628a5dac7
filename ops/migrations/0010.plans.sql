-- What is needed so that neither history nor a long line costs anything: indexes that fit one way only.

-- An index of what waits is nearly empty most of the time, so that reading all of it looks cheaper to the
-- planner than the way by id or by shortcode; and that plan is still made, or still kept, on a morning when
-- thousands wait. So each of these says what it holds in words that only those statements use for which it
-- is: nothing is late that has not ended, and all that has not ended is pending or acknowledged.
-- In the order of the line, so that the first in it is found without a look at the others; and not by
-- next_attempt_at, so that the beginning of an attempt touches no index.
CREATE INDEX balance_queries_line ON balance_queries (created_at, id) WHERE state = 'pending' AND NOT late;
CREATE INDEX balance_queries_to_time_out ON balance_queries (deadline_at) WHERE ended_at IS NULL AND NOT late;
-- Whoever asks finds the one in flight among years of its shortcode.
CREATE INDEX balance_queries_open ON balance_queries (shortcode, created_at) WHERE ended_at IS NULL;
-- An older worker sweeps without them until it is replaced, which takes it seconds where millions are stored.
DROP INDEX balance_queries_due;
DROP INDEX balance_queries_overdue;

-- The same of callbacks: what has no disposition has no reason for one.
CREATE INDEX callbacks_to_judge ON callbacks (judging_at) WHERE disposition IS NULL AND reason IS NULL;
DROP INDEX callbacks_unfinished;

-- The newest callbacks are listed without a look at the others.
CREATE INDEX callbacks_newest ON callbacks (recorded_at, id);
