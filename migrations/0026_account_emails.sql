CREATE TABLE account_emails (                        -- verified ones only; nobody is found by address, so no index on it
  username    text COLLATE "C" NOT NULL,
  issuer      text COLLATE "C" NOT NULL,
  email       text NOT NULL,
  email_key   text COLLATE "C" NOT NULL,
  ordinal     integer NOT NULL,                      -- the order in which the issuer named them; 0 is the account's email
  attest_time timestamptz NOT NULL,
  CONSTRAINT account_emails_pkey PRIMARY KEY (username, issuer, email_key),
  CONSTRAINT account_emails_username_fkey FOREIGN KEY (username) REFERENCES accounts (username)
);
