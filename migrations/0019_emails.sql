CREATE TABLE emails (                                -- the outbox; no code, no text
  organization text COLLATE "C" NOT NULL,
  email_id     uuid NOT NULL,
  invitation   uuid,                                 -- NULL: about the organization
  kind         text NOT NULL,
  generation   integer NOT NULL DEFAULT 0,           -- of the code that it carries
  recipient    text NOT NULL,                        -- fixed when written
  state        email_state NOT NULL DEFAULT 'QUEUED',
  attempt      integer NOT NULL DEFAULT 0,
  due_time     timestamptz NOT NULL DEFAULT now(),   -- when somebody may take it; a reminder is written with a later one
  lease_until  timestamptz,                          -- not NULL: held; with attempt it names the holder
  answer       text,                                 -- SMTP code or reason of ours, never the server's text
  create_time  timestamptz NOT NULL DEFAULT now(),
  update_time  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT emails_pkey PRIMARY KEY (organization, email_id),
  CONSTRAINT emails_lease CHECK (lease_until IS NULL OR state IN ('QUEUED','RETRYING')),
  CONSTRAINT emails_answer CHECK (answer ~ '^[A-Z0-9_. ]{1,40}$')
);
