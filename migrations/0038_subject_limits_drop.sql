-- what was counted in fixed windows is of no use to sliding ones, and is over in a quarter of an hour
DROP TABLE subject_limits;
