-- for lists by state, which alone say that a generation is not negative: many others ask for a state as well as for a key
CREATE INDEX invitations_by_state ON invitations (organization, state, invitation) WHERE generation >= 0;
