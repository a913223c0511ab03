CREATE INDEX organizations_pending_due ON organizations (pending_effective_time) WHERE pending_effective_time IS NOT NULL;
