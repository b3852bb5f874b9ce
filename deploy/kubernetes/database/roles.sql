-- Once, by a superuser, connected to the database that is to have the records: who may do what
-- (monitor-ingest --print-schema=roles tells of monitor_writer and the others), and with which
-- password they come in. The owner only makes the tables.
\getenv owner OWNER
\getenv owner_password OWNER_PASSWORD
\getenv writer WRITER
\getenv writer_password WRITER_PASSWORD
\getenv purger PURGER
\getenv purger_password PURGER_PASSWORD
\getenv reader READER
\getenv reader_password READER_PASSWORD

CREATE ROLE monitor_writer;
CREATE ROLE monitor_purger;
CREATE ROLE monitor_reader;
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password' IN ROLE monitor_purger;
CREATE ROLE :"writer" LOGIN PASSWORD :'writer_password' IN ROLE monitor_writer;
CREATE ROLE :"purger" LOGIN PASSWORD :'purger_password' IN ROLE monitor_purger;
CREATE ROLE :"reader" LOGIN PASSWORD :'reader_password' IN ROLE monitor_reader;

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"owner", :"writer", :"purger", :"reader";
GRANT CREATE ON DATABASE :"DBNAME" TO :"owner";
