#!/usr/bin/env python3
"""A mail server that keeps every email as a file, and sends none:

    scripts/kube/catcher.py HOST:PORT CERTIFICATE KEY FOLDER

Implicit TLS and AUTH PLAIN, as the service asks of a mail server on another machine. Each email takes a moment, so that a
burst of them waits in the service. A file has the recipient as its first line and the text decoded, as
`clients/python/example.py` reads it. It is there before the service hears that the email was taken.
"""

import asyncio
import email
import email.policy
import itertools
import pathlib
import ssl
import sys

PAUSE = 0.1
numbers = itertools.count(1)


def keep(folder, recipient, data):
    message = email.message_from_bytes(data, policy=email.policy.default)
    lines = [f"X-Envelope-To: {recipient}", f"Message-ID: {message['message-id']}", f"Subject: {message['subject']}"]
    text = "\n".join([*lines, "", message.get_body(("plain",)).get_content()])
    name = f"{next(numbers):08}"
    part = folder / f"{name}.part"
    part.write_text(text)
    part.rename(folder / f"{name}.eml")


async def session(folder, reader, writer):
    def say(line):
        writer.write(f"{line}\r\n".encode())

    recipients = []
    say("220 mailbox")
    while line := (await reader.readline()).decode().strip():
        verb = line.split()[0].upper()
        if verb == "EHLO":
            say("250-mailbox\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")
        elif verb == "AUTH":
            say("235 welcome")
        elif verb == "RCPT":
            recipients.append(line[line.index("<") + 1 : line.index(">")])
            say("250 yes")
        elif verb == "DATA":
            say("354 go on")
            lines = []
            while (part := await reader.readline()) not in (b".\r\n", b""):
                lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
            if not part:
                return  # cut off: not taken
            await asyncio.sleep(PAUSE)
            for recipient in recipients:
                keep(folder, recipient, b"".join(lines))
            recipients = []
            say("250 kept")
        elif verb == "QUIT":
            say("221 bye")
            break
        else:
            recipients = [] if verb in ("MAIL", "RSET") else recipients
            say("250 fine")


async def connected(folder, reader, writer):
    try:
        await session(folder, reader, writer)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(address, certificate, key, folder):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    host, port = address.split(":")
    folder = pathlib.Path(folder)
    server = await asyncio.start_server(lambda *streams: connected(folder, *streams), host, port, ssl=context, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
