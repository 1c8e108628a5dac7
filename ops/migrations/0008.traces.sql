-- What is needed to follow a balance through all programs: the trace that its caller is in.

ALTER TABLE balance_requests ADD COLUMN trace_parent text;
COMMENT ON COLUMN balance_requests.trace_parent IS 'The caller''s W3C traceparent; NULL where it has none.';
