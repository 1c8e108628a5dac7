-- Who looked and who changed what. Who asked is in balance_requests, where it is written anyway.

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL DEFAULT ''
);
COMMENT ON TABLE audit IS 'Who looked and who changed what: appended in the transaction of the change, never changed. Who asked is in balance_requests.';
COMMENT ON COLUMN audit.actor IS 'As it names itself: a user of the command line and the machine, a caller, a queue, or a part of this system.';
COMMENT ON COLUMN audit.subject IS 'The shortcode, app, task, callback or key that it is about.';
COMMENT ON COLUMN audit.detail IS 'No amount and no credential.';
CREATE INDEX audit_by_time ON audit (happened_at);
CREATE INDEX audit_of_subject ON audit (subject, happened_at);

-- Reading the asks among the rest, newest first, must not look through years of them.
CREATE INDEX balance_requests_by_time ON balance_requests (requested_at);
CREATE INDEX balance_requests_of_shortcode ON balance_requests (shortcode, requested_at);

CREATE FUNCTION refuse_changes_of_the_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only: % is refused, and what is wrong in it is put right by another entry', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END;
$$;
-- For each statement, so that one which meets no row is refused too.
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_changes_of_the_audit();
-- Also in a session that says that it replicates, where other triggers rest.
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only;

-- A trigger binds whoever may not alter the table. Its owner, who runs the migrations, and a superuser
-- can disable it. Where the programs have a role of their own (here: house), which then owns nothing,
-- these make the rest of it true; happened_at and id are then the database's alone:
--   REVOKE ALL ON audit FROM PUBLIC, house;
--   GRANT SELECT, INSERT (actor, action, subject, detail) ON audit TO house;
