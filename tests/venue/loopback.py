"""A web application on a free port of loopback, for stand-ins of what an oracle talks to."""

from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving(method, path, handler):
    """One handler behind one route; gives the server's URL."""
    application = web.Application()
    application.router.add_route(method, path, handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
