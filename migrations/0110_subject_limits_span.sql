-- the window and the limit of the charge that made the row: on a conflict, a distributed database knows no parameter
ALTER TABLE subject_limits ADD COLUMN span interval;
