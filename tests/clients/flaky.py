"""A peer that is unavailable for the first calls: a retry policy is needed to get past it.

It speaks as much HTTP/2 (RFC 9113) as it takes to refuse one call on each of the first connections. Every later
connection is joined to the real service, byte by byte.
"""

import asyncio
import contextlib
import threading

REFUSALS = 3

DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4
PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def literal(name, value):
    """A header field that no table has to know (RFC 7541, 6.2.2)."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


# `:status: 200` is entry 8 of the static table
UNAVAILABLE = b"\x88" + literal(b"content-type", b"application/grpc") + literal(b"grpc-status", b"14")


async def refuse(reader, writer):
    """Answers the first call of a connection with UNAVAILABLE, and closes it."""
    await reader.readexactly(PREFACE)
    writer.write(frame(SETTINGS, 0, 0))
    while True:
        size, kind, flags = int.from_bytes(await reader.readexactly(3)), *await reader.readexactly(2)
        stream = int.from_bytes(await reader.readexactly(4))
        payload = await reader.readexactly(size)
        if kind in (SETTINGS, PING) and not flags & ACK:
            writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind in (DATA, HEADERS) and flags & END_STREAM:
            writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, UNAVAILABLE))
            writer.write(frame(GOAWAY, 0, 0, stream.to_bytes(4) + bytes(4)))
            await writer.drain()
            writer.write_eof()
            await reader.read()
            return


async def join(address, reader, writer):
    """Passes everything on, both ways."""
    async def pipe(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    there, back = await asyncio.open_connection(*address.rsplit(":", 1))
    await asyncio.gather(pipe(reader, back), pipe(there, writer))


@contextlib.contextmanager
def before(address):
    """Listens as long as the block runs; gives where."""
    loop = asyncio.new_event_loop()
    refused = 0

    async def connected(reader, writer):
        nonlocal refused
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if refused < REFUSALS:
                refused += 1
                await refuse(reader, writer)
            else:
                await join(address, reader, writer)
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
