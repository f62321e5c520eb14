"""A TCP proxy in front of the broker, on a thread of its own, that can cut and stall connections."""

import asyncio
import threading


class Proxy:
    """Listens on 127.0.0.1:port and forwards to 127.0.0.1:target. The methods may be called by any thread."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.connections = set()  # writers of both sides
        self.allowance = None  # bytes until every connection is cut, None = no limit
        self.loop = asyncio.new_event_loop()
        self.flowing = asyncio.Event()
        self.flowing.set()
        ready = threading.Event()
        threading.Thread(target=self.run, args=[ready], daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port))
        ready.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self.connections |= both
        pumps = [asyncio.ensure_future(self.pump(a, b)) for a, b in ((reader, far_writer), (far_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.transport.abort()
        await asyncio.gather(*pumps, return_exceptions=True)
        self.connections -= both

    async def pump(self, reader, writer):
        while True:
            try:
                data = await reader.read(1 << 16)
                await self.flowing.wait()
                if not data:
                    return
                if self.allowance is not None and self.allowance <= len(data):
                    writer.write(data[:self.allowance])  # the peer sees an answer that ends in its middle
                    await writer.drain()
                    self.abort_all()
                    return
                if self.allowance is not None:
                    self.allowance -= len(data)
                writer.write(data)
                await writer.drain()
            except OSError:
                return

    def abort_all(self):
        self.allowance = None
        for writer in list(self.connections):
            writer.transport.abort()

    def cut(self, after_bytes):
        """Cuts every connection once so many more bytes have passed."""
        self.loop.call_soon_threadsafe(setattr, self, "allowance", after_bytes)

    def stall(self):
        """Nothing passes until flow()."""
        self.loop.call_soon_threadsafe(self.flowing.clear)

    def flow(self):
        self.loop.call_soon_threadsafe(self.flowing.set)
