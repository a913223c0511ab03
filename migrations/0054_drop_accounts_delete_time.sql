DROP INDEX accounts_delete_time;
