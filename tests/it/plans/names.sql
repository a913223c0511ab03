-- How rows are named by their number, in fill.sql and in the values of statements.

-- Three tenths of all invitations are in acme, the others in organizations of seven: 10003 to 10009 in o1000.
CREATE FUNCTION org(n bigint) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN n % 10 < 3 THEN 'acme' ELSE 'o' || n / 10 END $$;

CREATE FUNCTION inv(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS
$$ SELECT ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;

-- ids of emails and requests, which are random in the service
CREATE FUNCTION rnd(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT md5(n::text)::uuid $$;

CREATE FUNCTION hash(n bigint) RETURNS bytea IMMUTABLE LANGUAGE sql AS $$ SELECT sha256(n::text::bytea) $$;

-- what `migrate` makes where events are not kept for ever
CREATE POLICY events_prune_1 ON events FOR DELETE USING (true);

-- what is planned stays planned until somebody analyzes
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = off)', name);
  END LOOP;
END $$;
