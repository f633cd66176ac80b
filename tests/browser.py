"""A page in headless Chromium, asked over its DevTools protocol: what it says, shows, logs and requests."""

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--disable-dev-shm-usage",
    "--disable-extensions", "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip


class Tab:
    """One page. logged: errors and warnings of its console; requested: addresses that it asked for but its own."""

    def __init__(self, socket):
        self.socket, self.ids, self.waiting = socket, itertools.count(1), {}
        self.logged, self.requested, self.loaded = [], [], asyncio.Event()

    async def listen(self):
        async for message in self.socket:
            told = message.json()
            if "id" in told:
                self.waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "Page.loadEventFired":
                self.loaded.set()
            elif told["method"] == "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])
            elif told["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                self.logged.append(told["params"])

    async def call(self, method, **parameters):
        at = next(self.ids)
        self.waiting[at] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": at, "method": method, "params": parameters})
        told = await asyncio.wait_for(self.waiting[at], 60)
        assert "error" not in told, (method, told["error"])
        return told["result"]

    async def open(self, path, *, width=1200, height=900):
        await self.size(width, height)
        self.loaded.clear()
        await self.call("Page.navigate", url=Path(path).resolve().as_uri())
        await asyncio.wait_for(self.loaded.wait(), 60)

    async def size(self, width, height=900):
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                        mobile=False)  # fmt: skip

    async def ask(self, expression):
        """The value of a JavaScript expression."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def screenshot(self, path, *, whole=True):
        told = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(told["data"]))

    async def pdf(self, path):
        told = await self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True, paperWidth=8.27,
                               paperHeight=11.69)  # fmt: skip
        Path(path).write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def browser():
    """A Tab of a browser of its own, which is gone afterwards with its folder."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": folder},
        )  # fmt: skip
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _address(session, Path(folder)), max_msg_size=0) as socket,
            ):
                tab = Tab(socket)
                listening = asyncio.create_task(tab.listen())
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
                listening.cancel()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _address(session, folder):
    """Where the browser's one page listens: it writes its port into its folder once it is up."""
    for _ in range(300):
        with suppress(OSError, IndexError, StopIteration, aiohttp.ClientError):
            port = (folder / "DevToolsActivePort").read_text().split()[0]
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                return next(one["webSocketDebuggerUrl"] for one in await answer.json() if one["type"] == "page")
        await asyncio.sleep(0.1)
    raise AssertionError("Chromium did not start in 30 s")
