-- What is needed to remove what ended long ago, and to keep tables small that are written again and again.

-- Finding it. What is open is not in here, so that only the ending of a query costs something, and that
-- enters the other indexes of its table anyway.
CREATE INDEX balance_queries_ended ON balance_queries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX alerts_cleared ON alerts (cleared_at) WHERE cleared_at IS NOT NULL;
-- Notices about shortcodes and apps; the others go with what they are about.
CREATE INDEX outbox_told_of_no_query ON outbox (delivered_at) WHERE query_id IS NULL AND callback_id IS NULL;

-- Removing it. Without these each row that goes would have a whole table looked through for what refers to
-- it. None of these columns is ever written again, so no update of a row becomes dearer in kind (HOT).
CREATE INDEX balances_of_callback ON balances (callback_id);
CREATE INDEX outbox_of_query ON outbox (query_id) WHERE query_id IS NOT NULL;
CREATE INDEX outbox_of_callback ON outbox (callback_id) WHERE callback_id IS NOT NULL;
CREATE INDEX alerts_of_query ON alerts (query_id) WHERE query_id IS NOT NULL;

-- Room in each page for the next versions of its rows.
-- An attempt is written again once or twice within seconds or minutes, always in columns that no index
-- holds: a new version on the same page then enters no index (HOT; measured: nine in ten instead of seven).
ALTER TABLE submission_attempts SET (fillfactor = 80);
-- A query is begun, acknowledged and ended. That enters indexes anyway, but dirties one page instead of two.
ALTER TABLE balance_queries SET (fillfactor = 90);
-- Not of callbacks, outbox and replies: each is written again once, mostly at once and in what its indexes
-- hold, so that room would be kept for nothing (measured: callbacks took twice the disk).

-- Dead entries stay in the small indexes of what is open or waits until the table is vacuumed. By default
-- that is when a fifth of it is dead, which after a year of history would be weeks of them, and the
-- sweeper would step over all of them every few seconds. So: a fiftieth.
ALTER TABLE balance_queries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE submission_attempts SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE callbacks SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE balances SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE replies SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- These are written once, and die only when they are removed: their room is wanted back soon after that.
ALTER TABLE balance_requests SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE query_events SET (autovacuum_vacuum_scale_factor = 0.05);
