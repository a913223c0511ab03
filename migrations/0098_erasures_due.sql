CREATE INDEX erasures_due ON erasures (look_time) WHERE look_time IS NOT NULL;
