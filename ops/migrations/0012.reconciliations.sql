-- Balances set against the book: what came of it, by whom and when.

CREATE TABLE reconciliations (
    id uuid PRIMARY KEY,
    shortcode text NOT NULL,
    period_from timestamptz NOT NULL,
    period_to timestamptz NOT NULL,
    opening_query uuid NOT NULL,
    opening_as_of timestamptz NOT NULL,
    closing_query uuid NOT NULL,
    closing_as_of timestamptz NOT NULL,
    ledger text NOT NULL,
    movements integer NOT NULL,
    left_out integer NOT NULL,
    passed_over integer NOT NULL,
    warnings text[] NOT NULL,
    is_off boolean NOT NULL,
    document bytea NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CHECK (period_from < period_to AND opening_as_of < closing_as_of)
);
COMMENT ON TABLE reconciliations IS 'Balances set against a ledger. It is never removed: what it refers to may be.';
COMMENT ON COLUMN reconciliations.opening_query IS 'No foreign key: the query may be archived before.';
COMMENT ON COLUMN reconciliations.ledger IS 'The name of the file.';
COMMENT ON COLUMN reconciliations.movements IS 'Movements of the ledger between the two figures.';
COMMENT ON COLUMN reconciliations.left_out IS 'Movements of the ledger that lie before the first figure or after the last.';
COMMENT ON COLUMN reconciliations.passed_over IS 'Lines of the ledger about payments that did not complete.';
COMMENT ON COLUMN reconciliations.warnings IS 'What was odd about the two figures: codes, never amounts.';
COMMENT ON COLUMN reconciliations.document IS 'Sealed: {"tolerance": "...", "ledger_sha256": "...", "lines": [...]} with decimal strings.';
CREATE INDEX reconciliations_of_shortcode ON reconciliations (shortcode, made_at DESC);
CREATE INDEX reconciliations_by_time ON reconciliations (made_at DESC);
