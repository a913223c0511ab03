CREATE TABLE invitations (
  organization  text COLLATE "C" NOT NULL,
  invitation    uuid NOT NULL,                       -- v7: newest first is the primary key backwards
  state         invitation_state NOT NULL,
  email         text NOT NULL,
  email_key     text COLLATE "C" NOT NULL,
  username      text COLLATE "C",
  account_email text,
  account_email_key text COLLATE "C",
  role          role,
  inviter       text COLLATE "C",                    -- NULL: it began with an offer
  offerer       text COLLATE "C",
  approver      text COLLATE "C",
  locale        text,
  code_hash     bytea,
  code_key_id   text,
  generation    integer NOT NULL DEFAULT 0,          -- 0: never had a code
  create_time   timestamptz NOT NULL DEFAULT now(),
  update_time   timestamptz NOT NULL DEFAULT now(),
  expire_time   timestamptz,
  send_time     timestamptz NOT NULL,                -- of the last email that somebody asked for
  revision      integer NOT NULL DEFAULT 1,
  CONSTRAINT invitations_pkey PRIMARY KEY (organization, invitation),
  CONSTRAINT invitations_organization_fkey FOREIGN KEY (organization) REFERENCES organizations (organization),
  -- num_nulls never yields NULL, so no CHECK passes by accident
  CONSTRAINT invitations_code CHECK (num_nulls(code_hash,code_key_id) = CASE WHEN generation=0 THEN 2 ELSE 0 END
    AND generation >= 0 AND coalesce(octet_length(code_hash),32) = 32),
  CONSTRAINT invitations_invited CHECK (state<>'INVITED' OR
    generation>0 AND num_nulls(expire_time,inviter)=0 AND num_nonnulls(username,account_email,account_email_key,role,offerer,approver)=0),
  CONSTRAINT invitations_access_requested CHECK (state NOT IN ('ACCESS_REQUESTED','REJECTED') OR
    generation>0 AND num_nulls(username,account_email)=0 AND num_nonnulls(expire_time,role,offerer,approver)=0),
  CONSTRAINT invitations_offered CHECK (state NOT IN ('PENDING_APPROVAL','OFFERED','ACCEPTED') OR
    num_nulls(username,account_email,role,offerer,expire_time)=0),
  CONSTRAINT invitations_pending CHECK (state<>'PENDING_APPROVAL' OR approver IS NULL),
  CONSTRAINT invitations_declined CHECK (state<>'DECLINED' OR num_nulls(username,account_email)=0),
  CONSTRAINT invitations_expired CHECK (state<>'EXPIRED' OR expire_time IS NOT NULL),
  CONSTRAINT invitations_bound CHECK (num_nulls(username,account_email,account_email_key) IN (0,3)),
  CONSTRAINT invitations_role CHECK (num_nulls(role,offerer) IN (0,2) AND (role IS NULL OR username IS NOT NULL)),
  CONSTRAINT invitations_approver CHECK (approver IS NULL OR
    approver LIKE 'accounts/%' AND offerer IS NOT NULL AND approver<>offerer AND approver<>'accounts/'||username),
  CONSTRAINT invitations_callers CHECK (inviter ~ '^(accounts/[^/]+|services/[^/]+/.+)$' AND
    offerer ~ '^(accounts/[^/]+|services/[^/]+/.+)$')
);
