-- for searches by what became of the emails: none that waits or was sent is in it
CREATE INDEX emails_in_trouble ON emails (organization, state, invitation)
  WHERE state IN ('FAILED','RETRYING','DROPPED') AND invitation IS NOT NULL;
