-- Who may what: roles without a login, to be granted to those who have one
-- (GRANT monitor_writer TO ingester). May be run again, by the store's owner if it may make
-- roles, or by a superuser.
--
--     monitor_reader   monitor-query, and the reading side of monitor-wsd and monitor-zmq serve
--     monitor_writer   monitor-ingest: adds records and reads how far sources are settled; it
--                      can neither read records, nor change or remove one
--     monitor_purger   monitor-purge: whoever drops partitions must own their tables, so these
--                      belong to it, and what reads them for others
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['monitor_reader', 'monitor_writer', 'monitor_purger'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
			EXECUTE format('CREATE ROLE %I NOLOGIN', name);
		END IF;
	END LOOP;
	-- Only a member may give it something to own.
	IF NOT pg_has_role('monitor_purger', 'USAGE') THEN
		GRANT monitor_purger TO CURRENT_USER;
	END IF;
END $$;
GRANT USAGE ON SCHEMA monitor TO monitor_reader, monitor_writer, monitor_purger;
GRANT CREATE ON SCHEMA monitor TO monitor_purger;

GRANT SELECT ON monitor.store, monitor.batch TO monitor_reader, monitor_purger;
GRANT SELECT ON monitor.store TO monitor_writer;
GRANT SELECT ON monitor.log, monitor.notification, monitor.stray, monitor.records TO monitor_reader;
GRANT SELECT (seen) ON monitor.mark TO monitor_reader;   -- how many there are, not whose

GRANT INSERT ON monitor.log, monitor.notification, monitor.stray TO monitor_writer;
GRANT SELECT, INSERT, UPDATE ON monitor.mark TO monitor_writer;
GRANT USAGE ON SEQUENCE monitor.serial TO monitor_writer;

GRANT SELECT, DELETE ON monitor.batch, monitor.mark, monitor.stray TO monitor_purger;

REVOKE EXECUTE ON FUNCTION monitor.make_partitions, monitor.make_due_partitions, monitor.settle FROM PUBLIC;
GRANT EXECUTE ON FUNCTION monitor.make_due_partitions, monitor.settle TO monitor_writer;
ALTER FUNCTION monitor.make_partitions OWNER TO monitor_purger;
ALTER FUNCTION monitor.make_due_partitions OWNER TO monitor_purger;
ALTER VIEW monitor.records OWNER TO monitor_purger;
ALTER TABLE monitor.log OWNER TO monitor_purger;
ALTER TABLE monitor.notification OWNER TO monitor_purger;
DO $$
DECLARE
	name regclass;
BEGIN
	FOR name IN SELECT inhrelid::regclass FROM pg_inherits
			WHERE inhparent IN ('monitor.log'::regclass, 'monitor.notification'::regclass) LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO monitor_purger', name);
	END LOOP;
END $$;
