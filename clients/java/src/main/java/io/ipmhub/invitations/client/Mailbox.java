package io.ipmhub.invitations.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;

/** The emails of `dev`, each a file. */
final class Mailbox {
  private Mailbox() {}

  /** The newest email with these words, once it is there: what a person does at the mail program. */
  static String await(String words) throws IOException, InterruptedException {
    var end = Instant.now().plus(Duration.ofSeconds(30));
    while (Instant.now().isBefore(end)) {
      try (var files = Files.list(Path.of(Example.env("MAILBOX")))) {
        for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
          if (file.toString().endsWith(".eml") && Files.readString(file).contains(words)) {
            return Files.readString(file);
          }
        }
      }
      Thread.sleep(100);
    }
    throw new IOException("no email says " + words);
  }
}
