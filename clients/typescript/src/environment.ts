// Where the service is and who calls: what `invitations dev` and `invitations token` print.
import { argv, env, exit } from "node:process";

export function environment() {
  return {
    address: `http://${env.IPMHUB_ADDRESS ?? "127.0.0.1:50051"}`,
    ownerToken: needed("IPMHUB_OWNER_TOKEN"),
    personToken: needed("IPMHUB_PERSON_TOKEN"),
    email: needed("IPMHUB_PERSON_EMAIL"),
    username: needed("IPMHUB_PERSON_USERNAME"),
    mailbox: needed("IPMHUB_MAILBOX"),
  };
}

function needed(name: string): string {
  const value = env[name];
  if (value) return value;
  console.error(`${argv[1]}: set ${name} (README.md says how)`);
  exit(2);
}
