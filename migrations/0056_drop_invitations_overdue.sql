DROP INDEX invitations_overdue;
