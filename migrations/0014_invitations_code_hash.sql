CREATE INDEX invitations_code_hash ON invitations (code_hash) WHERE code_hash IS NOT NULL;  -- final rows too: "you accepted it"
