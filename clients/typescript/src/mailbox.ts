// Each email that `invitations dev` sends is a file.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Inbox } from "./seven-steps.js";

export function mailbox(folder: string): Inbox {
  return async (words) => {
    const end = Date.now() + 30_000;
    while (Date.now() < end) {
      // named by their order
      const names = (await readdir(folder)).filter((name) => name.endsWith(".eml")).sort();
      for (const name of names.reverse()) {
        const email = await readFile(join(folder, name), "utf8");
        if (email.includes(words)) return email.split("text/html")[0] ?? "";
      }
      await setTimeout(100);
    }
    throw new Error(`no email with "${words}" in ${folder}`);
  };
}
