-- when nothing bound the deleted account any more; until then the sweep looks at it
ALTER TABLE accounts ADD COLUMN left_time timestamptz;
