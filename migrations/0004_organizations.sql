CREATE TABLE organizations (
  organization       text COLLATE "C" NOT NULL,
  display_name       text NOT NULL,
  notification_email text NOT NULL,
  notification_email_key text COLLATE "C" NOT NULL,
  locale             text NOT NULL DEFAULT 'en',
  policy             jsonb NOT NULL DEFAULT '{}',
  create_time        timestamptz NOT NULL DEFAULT now(),
  update_time        timestamptz NOT NULL DEFAULT now(),
  revision           integer NOT NULL DEFAULT 1,
  CONSTRAINT organizations_pkey PRIMARY KEY (organization)
);
