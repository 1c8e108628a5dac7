-- What people look for among all callbacks is found without a look at the others.

CREATE INDEX callbacks_flagged ON callbacks (recorded_at, id) WHERE flagged;
-- What waits for its judgement only because it has just come is in callbacks_to_judge; this costs it nothing.
CREATE INDEX callbacks_put_back ON callbacks (recorded_at, id) WHERE disposition IS NULL AND reason IS NOT NULL;
