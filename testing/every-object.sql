-- A database with every kind of object that PostgreSQL 15 can dump, and values that are hard to carry.
-- Run as a superuser, in an empty database, in one transaction. Makes the roles it needs where they are missing.

DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['ho_owner', 'ho_reader', 'ho odd "role"', 'ho_member'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN EXECUTE format('CREATE ROLE %I', r); END IF;
  END LOOP;
END $$;
ALTER ROLE ho_owner CREATEROLE NOLOGIN;
GRANT ho_owner TO ho_member;

-- The database itself
DO $$
DECLARE d text := current_database();
BEGIN
  EXECUTE format('COMMENT ON DATABASE %I IS %L', d, 'it''s "everything"; with a semicolon');
  EXECUTE format('ALTER DATABASE %I SET work_mem = ''8MB''', d);
  EXECUTE format('ALTER DATABASE %I SET search_path = "$user", public, "odd schema"', d);
  EXECUTE format('ALTER DATABASE %I SET application.tenant = ''x;y''''z''', d);
  EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 77', d);
  EXECUTE format('ALTER ROLE ho_reader IN DATABASE %I SET statement_timeout = ''5s''', d);
  EXECUTE format('GRANT CREATE ON DATABASE %I TO ho_owner', d);
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', d);
END $$;

-- Schemas and extensions
CREATE SCHEMA app AUTHORIZATION ho_owner;
CREATE SCHEMA "odd schema";
CREATE SCHEMA ext;
COMMENT ON SCHEMA app IS 'the application';
GRANT USAGE ON SCHEMA app TO ho_reader;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA ext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION postgres_fdw SCHEMA ext;
CREATE EXTENSION file_fdw SCHEMA ext;

-- Types
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'it''s "fine"', '');
CREATE TYPE app.pair AS (a integer, b text, c app.mood);
CREATE DOMAIN app.positive AS integer DEFAULT 1 CONSTRAINT above_zero CHECK (VALUE > 0);
CREATE DOMAIN app.short_text AS text COLLATE "C" NOT NULL CHECK (length(VALUE) < 100);
CREATE TYPE app.float_range AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = app.float_ranges);
CREATE TYPE app.shell_only;
CREATE TYPE app.number;
CREATE FUNCTION app.number_in(cstring) RETURNS app.number LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION app.number_out(app.number) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE app.number (INPUT = app.number_in, OUTPUT = app.number_out, INTERNALLENGTH = 4, PASSEDBYVALUE, ALIGNMENT = int4);
COMMENT ON TYPE app.mood IS 'how it feels';
COMMENT ON DOMAIN app.positive IS 'more than nothing';
CREATE COLLATION app.german (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION app.ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION app.plain FROM "C";

-- Functions, procedures, aggregates
CREATE FUNCTION app.twice(x integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT x * 2';
CREATE FUNCTION app.atomic(x integer, y integer DEFAULT 3) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT x + y; END;
CREATE FUNCTION app."odd $$ name"(INOUT "in out" text, VARIADIC rest integer[] DEFAULT '{1,2}')
  LANGUAGE plpgsql SECURITY DEFINER COST 7 SET search_path = pg_catalog SET work_mem = '1MB'
  AS $body$ BEGIN "in out" := "in out" || '$$;' || array_length(rest, 1); END $body$;
CREATE FUNCTION app.rows_of(n integer) RETURNS TABLE (i integer, t text) LANGUAGE sql ROWS 10 AS $$ SELECT g, 'r' || g FROM generate_series(1, n) g $$;
CREATE PROCEDURE app.do_nothing(a integer, OUT b integer) LANGUAGE plpgsql AS $$ BEGIN b := a; END $$;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, '') || '!'; RETURN NEW; END $$;
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE FUNCTION app.add_up(state bigint, x integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT state + x';
CREATE AGGREGATE app.total(integer) (sfunc = app.add_up, stype = bigint, initcond = '0', parallel = safe);
CREATE AGGREGATE app.nth(float8 ORDER BY anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
CREATE FUNCTION app.position() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE AS 'window_row_number';
GRANT EXECUTE ON FUNCTION app.twice(integer) TO ho_reader;
REVOKE EXECUTE ON FUNCTION app.atomic(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION app.twice(integer) IS E'two\ntimes';

-- Operators, classes, families, casts, transforms, conversions, access methods, languages
CREATE FUNCTION app.same_pair(app.pair, app.pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a = ($2).a';
CREATE OPERATOR app.=== (leftarg = app.pair, rightarg = app.pair, function = app.same_pair, commutator = OPERATOR(app.===));
CREATE OPERATOR FAMILY app.int_family USING btree;
CREATE OPERATOR CLASS app.int_class FOR TYPE integer USING btree FAMILY app.int_family AS
  OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
ALTER OPERATOR FAMILY app.int_family USING btree ADD OPERATOR 1 < (integer, bigint), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint);
CREATE FUNCTION app.pair_text(app.pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT ($1).a || ':' || ($1).b $$;
CREATE CAST (app.pair AS text) WITH FUNCTION app.pair_text(app.pair) AS ASSIGNMENT;
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
CREATE DEFAULT CONVERSION app.my_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE ACCESS METHOD heap_again TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION app.call_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION app.inline_handler(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION app.validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED PROCEDURAL LANGUAGE pl_again HANDLER app.call_handler INLINE app.inline_handler VALIDATOR app.validator;

-- Text search
CREATE TEXT SEARCH DICTIONARY app.simple_dict (template = pg_catalog.simple, stopwords = 'english');
CREATE TEXT SEARCH CONFIGURATION app.conf (copy = english);
ALTER TEXT SEARCH CONFIGURATION app.conf ALTER MAPPING FOR asciiword WITH app.simple_dict;
CREATE TEXT SEARCH PARSER app.parser (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE app.template (init = dsimple_init, lexize = dsimple_lexize);

-- Sequences
CREATE SEQUENCE app.counter AS smallint INCREMENT BY -3 MINVALUE -300 MAXVALUE 300 START 30 CACHE 5 CYCLE;
SELECT nextval('app.counter'), nextval('app.counter');
CREATE SEQUENCE app."never used";
CREATE UNLOGGED SEQUENCE app.unlogged_counter;

-- Tables
CREATE TABLE app.customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 10) PRIMARY KEY,
  code serial UNIQUE,
  name app.short_text,
  email ext.citext,
  mood app.mood DEFAULT 'ok',
  pairs app.pair[],
  level app.positive,
  lower_name text GENERATED ALWAYS AS (lower(name::text)) STORED,
  note text,
  tags ext.hstore,
  sort_name text COLLATE app.german,
  created timestamptz NOT NULL DEFAULT '2024-02-29 23:59:59.999999+05:45',
  dropped integer,
  CONSTRAINT note_not_x CHECK (note <> 'x') NOT VALID,
  CONSTRAINT level_inherits CHECK (level < 1000) NO INHERIT
);
ALTER TABLE app.customers DROP COLUMN dropped;
ALTER TABLE app.customers OWNER TO ho_owner;
ALTER TABLE app.customers ALTER COLUMN note SET STORAGE EXTERNAL, ALTER COLUMN note SET STATISTICS 500, ALTER COLUMN name SET (n_distinct = -0.5);
ALTER TABLE app.customers SET (fillfactor = 70, autovacuum_enabled = false);
INSERT INTO app.customers (name, email, mood, pairs, level, note, tags, sort_name)
SELECT 'Name ' || g, 'User' || g || '@Example.com', (ARRAY['sad', 'ok', 'it''s "fine"', '', NULL])[g % 5 + 1]::app.mood,
       ARRAY[ROW(g, 'b"' || g, 'ok'), NULL, ROW(NULL, E'x\\y', '')]::app.pair[], g, repeat(md5(g::text), g % 7),
       ext.hstore('k' || g, CASE WHEN g % 3 = 0 THEN NULL ELSE '"q"' END), 'Ärger ' || g
  FROM generate_series(1, 200) g;
CREATE TABLE app.orders (
  customer bigint NOT NULL REFERENCES app.customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  number integer GENERATED BY DEFAULT AS IDENTITY,
  total numeric(20, 4), during tstzrange, amounts app.float_range, many app.float_ranges,
  PRIMARY KEY (customer, number),
  CONSTRAINT no_overlap EXCLUDE USING gist (customer WITH =, during WITH &&)
);
INSERT INTO app.orders (customer, total, during, amounts, many)
SELECT id, id * 1.2345, tstzrange('2024-01-01'::timestamptz + id * interval '1 day', '2024-01-02'::timestamptz + id * interval '1 day', '[)'),
       app.float_range(0.1, 1e300), '{[1,2),[3,Infinity)}' FROM app.customers;

CREATE TABLE "odd schema"."a.b ""c"" 100%/é
line" ("col.1" integer, " " text, "SELECT" text, "ü%" integer, PRIMARY KEY ("col.1"));
INSERT INTO "odd schema"."a.b ""c"" 100%/é
line" VALUES (1, ' ', 'select', 2), (2, NULL, '', NULL);
CREATE TABLE "odd schema"."*?[a-z]$" (x integer);
INSERT INTO "odd schema"."*?[a-z]$" VALUES (1);
CREATE TABLE "odd schema"."Upper" (x integer);
CREATE TABLE "odd schema".upper (x integer);
INSERT INTO "odd schema".upper VALUES (5);

CREATE TABLE app.hard_values (id integer PRIMARY KEY, t text, b bytea, n numeric, f float8, r real, i interval, ts timestamp,
  tz timestamptz, d date, tm timetz, m money, j json, jb jsonb, x xml, u uuid, a integer[], aa text[][], bits bit varying, net inet, mac macaddr8,
  pt point, poly polygon, v tsvector, q tsquery, c "char", fixed char(5), o oid, reg regclass, lsn pg_lsn, tx xid8);
INSERT INTO app.hard_values (id, t) VALUES
  (1, NULL), (2, ''), (3, '\N'), (4, '\.'), (5, E'\t'), (6, E'\n'), (7, E'\r\n'), (8, '\'), (9, E'tab\there\\'), (10, E'\b\f\v\x01\x7f'),
  (11, ' lead and trail '), (12, '🐘 e' || U&'\0301' || ' ü 漢字 ' || U&'\200B\FEFF'), (13, E'ends with newline\n'), (14, E'\\.\n'), (15, repeat('long ', 200000)),
  (16, (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 20000) g)), (17, '--'), (18, '$$;'), (19, E'\\\\.'), (20, U&'\+10FFFF'),
  (21, U&'\D7FF\E000\FFFD\FFFE\FFFF\0001\007F\0080\00AD\202E\2028'), (22, '👩‍👩‍👧‍👦🏳️‍🌈' || U&'a\0323\0307 \1E69');
INSERT INTO app.hard_values (id, b, j) VALUES (23, '\x00', '"a zero: \u0000"'), (24, '\x0000000000', '"\ud83d\ude00"');
INSERT INTO app.hard_values VALUES
  (30, 'x', '\x00ff0a5c2e0d', 'NaN', 'NaN', '-Infinity', '-1 year 2 mons -3 days 04:05:06.789', 'infinity', '-infinity', '4713-01-01 BC', '23:59:59.999999-15:59', '-$12,345.67', '{"a" : 1, "a":2}', '{"k": [1, null, "\u00e9\\n"]}', '<a b="c">&amp;</a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[0:2]={1,NULL,3}', '{{"a,b","c\"d"},{"","NULL"}}', '10101', '2001:db8::1/64', '08:00:2b:01:02:03:04:05', '(1e-300,-0)', '((0,0),(1,1),(2,0))', '''a b'':1A ''c'':2', 'a & !b <-> c', 'é', 'ab', 4294967295, 'app.customers', 'FFFFFFFF/FFFFFFFF', '18446744073709551615'),
  (31, NULL, '', 'Infinity', '-0', 1.17549435e-38, '178000000 years', '294276-12-31 23:59:59.999999', '0001-01-01 00:00:00+00 BC', 'infinity', '00:00:00+15:59', '92233720368547758.07', 'null', 'null', '', NULL, '{}', '{}', '', '0.0.0.0/0', NULL, NULL, NULL, '', '', '', '', 0, NULL, '0/0', '3'),
  (32, NULL, NULL, 1e130000::numeric, 1.7976931348623157e308, 3.4028235e38, '0', '4713-01-01 00:00:00 BC', '2024-03-31 02:30:00 Europe/Berlin', '5874897-12-31', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '     ', NULL, NULL, NULL, NULL),
  (33, NULL, decode(repeat('00ff5c', 500000), 'hex'), -0.00000000000000000000000000000000000001, 4.9406564584124654e-324, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE app.empty (a integer, b text);
CREATE TABLE app.no_columns ();
INSERT INTO app.no_columns DEFAULT VALUES;
INSERT INTO app.no_columns DEFAULT VALUES;
CREATE TABLE app.own_type (n app.number);
INSERT INTO app.own_type VALUES ('-5'), (NULL);
CREATE TABLE app.one_null (a text);
INSERT INTO app.one_null VALUES (NULL), (''), (NULL);
CREATE UNLOGGED TABLE app.unlogged (a integer);
INSERT INTO app.unlogged SELECT generate_series(1, 10);
CREATE TABLE app.typed OF app.pair (PRIMARY KEY (a));
INSERT INTO app.typed VALUES (1, 'one', 'ok');
CREATE TABLE app.other_method (a integer) USING heap_again;
INSERT INTO app.other_method VALUES (1);
DO $$ BEGIN
  EXECUTE 'CREATE TABLE app.wide (' || (SELECT string_agg('c' || g || ' smallint', ', ') FROM generate_series(1, 1600) g) || ')';
  EXECUTE 'INSERT INTO app.wide (c1, c800, c1600) VALUES (1, 800, 1600)';
END $$;

-- Cyclic foreign keys, one to itself
CREATE TABLE app.chicken (id integer PRIMARY KEY, egg integer);
CREATE TABLE app.egg (id integer PRIMARY KEY, chicken integer REFERENCES app.chicken, parent integer REFERENCES app.egg);
INSERT INTO app.chicken VALUES (1, 1), (2, NULL);
INSERT INTO app.egg VALUES (1, 1, 2), (2, 2, 1);
ALTER TABLE app.chicken ADD CONSTRAINT lays FOREIGN KEY (egg) REFERENCES app.egg NOT VALID;

-- Inheritance
CREATE TABLE app.parent (a integer DEFAULT 1, b text, CONSTRAINT a_set CHECK (a IS NOT NULL));
CREATE TABLE app.child (c integer DEFAULT 5) INHERITS (app.parent);
CREATE TABLE app.grandchild (a integer DEFAULT 9) INHERITS (app.child);
INSERT INTO app.parent VALUES (1, 'p');
INSERT INTO app.child VALUES (2, 'c', 3);
INSERT INTO app.grandchild VALUES (3, 'g', 4);

-- Partitions: list, range, hash, nested, default, detached columns in another order
CREATE TABLE app.events (id bigserial, at date NOT NULL, kind text NOT NULL, body text) PARTITION BY RANGE (at);
CREATE TABLE app.events_2023 PARTITION OF app.events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY LIST (kind);
CREATE TABLE app.events_2023_a PARTITION OF app.events_2023 FOR VALUES IN ('a', 'b');
CREATE TABLE app.events_2023_rest PARTITION OF app.events_2023 DEFAULT PARTITION BY HASH (id);
CREATE TABLE app.events_2023_h0 PARTITION OF app.events_2023_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.events_2023_h1 PARTITION OF app.events_2023_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.events_late (body text, kind text NOT NULL, gone integer, at date NOT NULL, id bigint NOT NULL);
ALTER TABLE app.events_late DROP COLUMN gone;
ALTER TABLE app.events ATTACH PARTITION app.events_late FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE TABLE app.events_default PARTITION OF app.events DEFAULT;
INSERT INTO app.events (at, kind, body) SELECT '2022-12-01'::date + g, (ARRAY['a', 'b', 'c', 'd'])[g % 4 + 1], 'body ' || g FROM generate_series(1, 600) g;
ALTER TABLE app.events ADD PRIMARY KEY (id, at, kind);
CREATE INDEX events_kind ON app.events (kind) INCLUDE (body) WHERE kind <> 'z';
CREATE TABLE app.event_marks (id bigint, at date, kind text, FOREIGN KEY (id, at, kind) REFERENCES app.events);

-- Indexes, statistics
CREATE INDEX customers_name ON app.customers (name text_pattern_ops DESC NULLS LAST) WITH (fillfactor = 50);
CREATE INDEX customers_expr ON app.customers ((lower(email::text)), (level + 1)) WHERE level > 2;
CREATE INDEX customers_trgm ON app.customers USING gin (note ext.gin_trgm_ops);
CREATE UNIQUE INDEX customers_distinct ON app.customers (name) NULLS NOT DISTINCT;
CREATE INDEX customers_own_class ON app.customers (code app.int_class);
CREATE INDEX customers_brin ON app.customers USING brin (created);
CREATE STATISTICS app.customer_statistics (ndistinct, dependencies, mcv) ON code, level FROM app.customers;
CREATE STATISTICS app.expression_statistics ON (code % 10), (level % 3) FROM app.customers;
ALTER STATISTICS app.customer_statistics SET STATISTICS 50;
COMMENT ON STATISTICS app.customer_statistics IS 'helps';
ALTER TABLE app.customers CLUSTER ON customers_name;
ALTER TABLE app.customers REPLICA IDENTITY USING INDEX customers_code_key;

-- Views and rules
CREATE VIEW app.happy AS SELECT id, name FROM app.customers WHERE mood = 'ok' WITH LOCAL CHECK OPTION;
CREATE VIEW app.guarded WITH (security_barrier, security_invoker) AS SELECT * FROM app.happy;
CREATE RECURSIVE VIEW app.count_up (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM count_up WHERE n < 5;
CREATE MATERIALIZED VIEW app.totals AS SELECT customer, sum(total) AS sum FROM app.orders GROUP BY customer;
CREATE UNIQUE INDEX totals_customer ON app.totals (customer);
CREATE MATERIALIZED VIEW app.totals_of_totals AS SELECT sum(sum) AS all_of_it FROM app.totals;
CREATE MATERIALIZED VIEW app.never_filled AS SELECT 1 AS one WITH NO DATA;
CREATE RULE log_nothing AS ON UPDATE TO app.empty WHERE NEW.a > 5 DO INSTEAD NOTHING;
CREATE VIEW app.writable AS SELECT 1 AS a;
CREATE RULE writable_insert AS ON INSERT TO app.writable DO INSTEAD INSERT INTO app.empty VALUES (NEW.a, 'from view');
COMMENT ON VIEW app.happy IS 'the happy ones';
COMMENT ON COLUMN app.customers.name IS E'a name\\ with \'quotes\'';

-- Triggers and event triggers
CREATE TRIGGER touch_it BEFORE INSERT OR UPDATE OF note ON app.customers FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION app.touch('argument''s');
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.typed DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE app.typed DISABLE TRIGGER later;
CREATE TRIGGER on_partitions AFTER INSERT ON app.events FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.events_late ENABLE ALWAYS TRIGGER on_partitions;
CREATE EVENT TRIGGER ho_on_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.on_ddl();
COMMENT ON EVENT TRIGGER ho_on_ddl IS 'watches';
COMMENT ON TRIGGER touch_it ON app.customers IS 'touches';

-- Row-level security
CREATE TABLE app.secrets (owner_name text, body text);
INSERT INTO app.secrets VALUES ('ho_reader', 'mine'), ('other', 'not mine');
ALTER TABLE app.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON app.secrets AS PERMISSIVE FOR SELECT TO ho_reader USING (owner_name = current_user);
CREATE POLICY "nobody else" ON app.secrets AS RESTRICTIVE FOR ALL TO ho_member USING (true) WITH CHECK (body <> '');
COMMENT ON POLICY own_rows ON app.secrets IS 'own rows only';

-- Comments on what is not commented above
COMMENT ON CONSTRAINT note_not_x ON app.customers IS 'not x';
COMMENT ON CONSTRAINT above_zero ON DOMAIN app.positive IS 'above zero';
COMMENT ON INDEX app.customers_name IS E'\\';
COMMENT ON SEQUENCE app.counter IS 'backwards';
COMMENT ON RULE log_nothing ON app.empty IS 'nothing';
COMMENT ON MATERIALIZED VIEW app.totals IS '漢字';
COMMENT ON TABLE "odd schema"."Upper" IS '';
COMMENT ON COLUMN app.pair.a IS 'of a type';
COMMENT ON AGGREGATE app.total(integer) IS 'all of it';
COMMENT ON OPERATOR app.=== (app.pair, app.pair) IS 'the same';
COMMENT ON OPERATOR CLASS app.int_class USING btree IS 'ours';
COMMENT ON CAST (app.pair AS text) IS 'as text';
COMMENT ON COLLATION app.german IS 'as in the phone book';
COMMENT ON CONVERSION app.my_conversion IS 'Latin';
COMMENT ON TEXT SEARCH CONFIGURATION app.conf IS 'searches';
COMMENT ON TEXT SEARCH DICTIONARY app.simple_dict IS 'simple';
COMMENT ON LANGUAGE pl_again IS 'once more';
COMMENT ON ACCESS METHOD heap_again IS 'heap';
COMMENT ON PROCEDURE app.do_nothing(integer) IS 'little';

-- Foreign data
CREATE FOREIGN DATA WRAPPER ho_wrapper OPTIONS (debug 'it''s');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE SERVER elsewhere TYPE 'pg' VERSION '15' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', dbname 'it''s');
CREATE USER MAPPING FOR ho_reader SERVER elsewhere OPTIONS (user 'x', password 'not a "real" one');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere;
CREATE FOREIGN TABLE app.remote (a integer OPTIONS (column_name 'b'), c text NOT NULL) SERVER elsewhere OPTIONS (schema_name 's', table_name 't');
CREATE FOREIGN TABLE app.from_file (line text) SERVER files OPTIONS (filename '/nonexistent', format 'text');
GRANT USAGE ON FOREIGN SERVER elsewhere TO ho_reader;

-- Publications and a subscription that never connects
CREATE PUBLICATION ho_some FOR TABLE app.customers (id, name) WHERE (id > 100), app.orders WITH (publish = 'insert, update');
CREATE PUBLICATION ho_schema FOR TABLES IN SCHEMA app;
CREATE PUBLICATION ho_all FOR ALL TABLES;
CREATE SUBSCRIPTION ho_subscription CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION ho_some WITH (connect = false);

-- Privileges
GRANT SELECT, INSERT (name, email), UPDATE (name) ON app.customers TO ho_reader WITH GRANT OPTION;
GRANT ALL ON app.orders TO "ho odd ""role""";
REVOKE INSERT ON app.customers FROM ho_owner;
GRANT USAGE ON SEQUENCE app.counter TO ho_reader;
GRANT USAGE ON TYPE app.mood TO ho_reader;
REVOKE ALL ON LANGUAGE pl_again FROM PUBLIC;
GRANT SET ON PARAMETER work_mem TO ho_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE ho_owner IN SCHEMA app GRANT SELECT ON TABLES TO ho_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE ho_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT SELECT ON pg_catalog.pg_authid TO ho_reader;

-- Large objects
SELECT lo_from_bytea(770001, '\x00010203'), lo_from_bytea(770002, ''), lo_from_bytea(3000000001, decode(repeat('ab5c0a', 100000), 'hex'));
GRANT SELECT ON LARGE OBJECT 770001 TO ho_reader;
ALTER LARGE OBJECT 770002 OWNER TO ho_owner;
COMMENT ON LARGE OBJECT 770001 IS 'four bytes';

-- Values that are refreshed last
REFRESH MATERIALIZED VIEW app.totals;
REFRESH MATERIALIZED VIEW app.totals_of_totals;
