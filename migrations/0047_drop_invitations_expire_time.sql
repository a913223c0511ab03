DROP INDEX invitations_expire_time;
