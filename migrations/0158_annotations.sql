CREATE TABLE annotations (                            -- the same as rows, to find invitations by an exact pair, newest first
  organization text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  value        text COLLATE "C" NOT NULL,
  invitation   uuid NOT NULL,
  CONSTRAINT annotations_pkey PRIMARY KEY (organization, key, value, invitation)
);
