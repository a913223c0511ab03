CREATE TABLE members (
  organization text COLLATE "C" NOT NULL,
  username     text COLLATE "C" NOT NULL,
  role         role NOT NULL,
  email        text,                                 -- the one they were offered under
  email_key    text COLLATE "C",
  inviter      text COLLATE "C",
  create_time  timestamptz NOT NULL DEFAULT now(),
  update_time  timestamptz NOT NULL DEFAULT now(),
  revision     integer NOT NULL DEFAULT 1,
  CONSTRAINT members_pkey PRIMARY KEY (organization, username),
  CONSTRAINT members_organization_fkey FOREIGN KEY (organization) REFERENCES organizations (organization),
  CONSTRAINT members_email CHECK ((email IS NULL) = (email_key IS NULL)),
  CONSTRAINT members_inviter CHECK (inviter ~ '^(accounts/[^/]+|services/[^/]+/.+)$')
);
