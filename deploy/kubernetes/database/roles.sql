-- Once, by an administrator of the database, connected to the one that is to have the records:
-- who stores and purges, and owns the tables; and who only reads.
\getenv writer WRITER
\getenv writer_password WRITER_PASSWORD
\getenv reader READER
\getenv reader_password READER_PASSWORD
\getenv database POSTGRES_DB

CREATE ROLE :"writer" LOGIN PASSWORD :'writer_password';
CREATE ROLE :"reader" LOGIN PASSWORD :'reader_password' IN ROLE pg_read_all_data;
ALTER ROLE :"reader" SET default_transaction_read_only = on;

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"reader";
ALTER DATABASE :"database" OWNER TO :"writer";
ALTER SCHEMA public OWNER TO :"writer";
