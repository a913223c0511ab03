ALTER TABLE emails ADD COLUMN trace text;             -- traceparent of the call that has caused it; NULL: none was recorded
