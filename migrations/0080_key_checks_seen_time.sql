-- when a replica with the key last said so: a code of a key that nobody has any more counts for nothing
ALTER TABLE key_checks ADD COLUMN seen_time timestamptz NOT NULL DEFAULT now();
