ALTER TABLE subject_limits ADD COLUMN most integer;
