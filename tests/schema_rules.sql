-- The schema rules as one query over the catalog of a plain PostgreSQL: a row is a violation, no row is right.
-- Run by tests/architecture after the migrations.
WITH keyed(tbl, key) AS (VALUES                     -- every table has its place here; a new one must be added
  ('organizations','organization'),('organization_heads','organization'),('members','organization'),
  ('invitations','organization'),('annotations','organization'),('events','organization'),('emails','organization'),('mail_turns','organization'),('request_ids','organization'),('erasures','username'),
  ('accounts','username'),('account_emails','username'),('identities','identity'),('account_request_ids','identity'),('attestations','identity'),
  ('subject_limits','subject'),('email_suppressions','address_hash'),('key_checks',NULL)),  -- NULL: a copy on every node
t AS (SELECT c.oid, c.relname, k.key, k.tbl IS NOT NULL AS known FROM pg_class c LEFT JOIN keyed k ON k.tbl=c.relname
       WHERE c.relnamespace='public'::regnamespace AND c.relkind IN ('r','p') AND c.relname NOT LIKE '\_sqlx%')
SELECT relname AS "table", 'has no place in the list' AS violation FROM t WHERE NOT known
UNION ALL
SELECT t.relname, 'unique '||i.indexrelid::regclass||' lacks '||t.key FROM t JOIN pg_index i ON i.indrelid=t.oid
 WHERE i.indisunique AND t.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_attribute a
   WHERE a.attrelid=t.oid AND a.attname=t.key AND a.attnum=ANY(i.indkey::int2[]))
UNION ALL
SELECT t.relname, 'no primary key' FROM t WHERE NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid=t.oid AND i.indisprimary)
UNION ALL
SELECT t.relname, 'foreign key '||f.conname||' leaves the group of '||coalesce(t.key,'a copied table')
  FROM t JOIN pg_constraint f ON f.conrelid=t.oid AND f.contype='f' JOIN t r ON r.oid=f.confrelid
 WHERE r.key IS NOT NULL AND (t.key IS DISTINCT FROM r.key OR NOT EXISTS (SELECT 1 FROM pg_attribute a, pg_attribute b, generate_subscripts(f.conkey,1) n
   WHERE a.attrelid=t.oid AND a.attnum=f.conkey[n] AND a.attname=t.key AND b.attrelid=r.oid AND b.attnum=f.confkey[n] AND b.attname=r.key))
UNION ALL
SELECT t.relname, 'trigger '||g.tgname FROM t JOIN pg_trigger g ON g.tgrelid=t.oid AND NOT g.tgisinternal
UNION ALL
SELECT t.relname, 'sequence behind '||a.attname FROM t JOIN pg_attribute a ON a.attrelid=t.oid AND a.attnum>0
 LEFT JOIN pg_attrdef d ON d.adrelid=t.oid AND d.adnum=a.attnum
 WHERE a.attidentity<>'' OR pg_get_expr(d.adbin,d.adrelid) LIKE 'nextval%'
UNION ALL
SELECT t.relname, 'default '||pg_get_expr(d.adbin,d.adrelid)||' of '||a.attname||' belongs to one node' FROM t JOIN pg_attrdef d ON d.adrelid=t.oid
  JOIN pg_attribute a ON a.attrelid=t.oid AND a.attnum=d.adnum WHERE pg_get_expr(d.adbin,d.adrelid) ~ 'xact_id|txid|snapshot|backend_pid|lsn'
UNION ALL
SELECT t.relname, 'xid column '||a.attname FROM t JOIN pg_attribute a ON a.attrelid=t.oid AND a.attnum>0 AND a.atttypid IN ('xid'::regtype,'xid8'::regtype,'pg_snapshot'::regtype,'pg_lsn'::regtype)
UNION ALL
SELECT t.relname, 'name '||n||' is longer than 52 (a shard number is appended to it)' FROM t,
 LATERAL (SELECT t.relname::text n UNION SELECT conname FROM pg_constraint WHERE conrelid=t.oid UNION SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid=i.indexrelid WHERE i.indrelid=t.oid) q WHERE length(n)>52
ORDER BY 1,2
