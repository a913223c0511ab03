CREATE INDEX mail_turns_next ON mail_turns (turn_time) WHERE turn_time IS NOT NULL;
