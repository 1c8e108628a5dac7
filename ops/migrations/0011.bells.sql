-- A bell is rung for the line of an app and no longer for a query, so no query says when it was rung for.
-- A worker of before waits for its replacement from here on, and loses nothing.
ALTER TABLE balance_queries DROP COLUMN rung_at;
