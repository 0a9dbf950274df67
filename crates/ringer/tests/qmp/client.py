"""Drives a FreeDOS machine with the client of PyPI's qemu.qmp: client.py SOCKET DIRECTORY FLOPPY."""

import asyncio
import os
import sys

from qemu.qmp import ExecuteError, QMPClient


async def refused(qmp, command, arguments, text):
    try:
        await qmp.execute(command, arguments)
    except ExecuteError as error:
        assert text in str(error), f"{command}: {error}"
    else:
        raise AssertionError(f"{command} was not refused")


async def screen(qmp, path):
    """The bytes of the text screen at B8000h."""
    await qmp.execute("pmemsave", {"val": 0xB8000, "size": 4000, "filename": path})
    with open(path, "rb") as file:
        return file.read()[::2].decode("cp437")


async def wait_for(qmp, path, text):
    for _ in range(300):
        shown = await screen(qmp, path)
        if text in shown:
            return shown
        await asyncio.sleep(0.1)
    asks = [await qmp.execute("human-monitor-command", {"command-line": f"info {what}"}) for what in ("registers", "pic")]
    raise AssertionError(f"no {text!r} on the screen:\n{shown}\n{asks[0]}\n{asks[1]}")


async def prompt(qmp, path):
    """Waits until DOS has asked for a command for a second: its batch file clears what is typed early."""
    quiet = 0
    while quiet < 10:
        shown = (await wait_for(qmp, path, "A:\\>")).rstrip()
        quiet = quiet + 1 if shown.endswith("A:\\>") else 0
        await asyncio.sleep(0.1)


async def type_text(qmp, text):
    names = {" ": "spc", "\n": "ret"}
    for c in text:
        await qmp.execute("send-key", {"keys": [{"type": "qcode", "data": names.get(c, c)}], "hold-time": 20})


async def main(socket, directory, floppy):
    path = os.path.join(directory, "memory")
    qmp = QMPClient("test")
    await qmp.connect(socket)
    commands = {c["name"] for c in await qmp.execute("query-commands")}
    assert {"stop", "cont", "send-key", "screendump", "snapshot-save"} <= commands
    assert "qemu" in await qmp.execute("query-version")
    assert (await qmp.execute("query-status"))["status"] == "running"
    await refused(qmp, "screendump", {}, "Parameter 'filename' is missing")
    await refused(qmp, "no-such-command", {}, "has not been found")
    await refused(qmp, "stop", {"x": 1}, "Parameter 'x' is unexpected")

    await prompt(qmp, path)
    await type_text(qmp, "ver\n")
    await wait_for(qmp, path, "FreeCom version 0.82")

    png, ppm = os.path.join(directory, "a.png"), os.path.join(directory, "a.ppm")
    await qmp.execute("screendump", {"filename": png, "format": "png"})
    await qmp.execute("screendump", {"filename": ppm})
    with open(png, "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    with open(ppm, "rb") as file:
        assert file.read(15) == b"P6\n720 400\n255\n"

    registers = await qmp.execute("human-monitor-command", {"command-line": "info registers"})
    assert "EIP=" in registers and "CR0=" in registers, registers
    pic = await qmp.execute("human-monitor-command", {"command-line": "info pic"})
    assert "pic1: irr=" in pic and "irq_base=08" in pic, pic
    mem = await qmp.execute("human-monitor-command", {"command-line": "info mem"})
    assert mem == "PG disabled\r\n", mem

    with qmp.listener() as events:
        await qmp.execute("stop")
        assert (await events.get())["event"] == "STOP"
        assert (await qmp.execute("query-status"))["status"] == "paused"
        snapshot = os.path.join(directory, "snapshot")
        await qmp.execute("snapshot-save", {"filename": snapshot})
        await qmp.execute("cont")
        assert (await events.get())["event"] == "RESUME"
        await type_text(qmp, "cls\n")
        for _ in range(100):
            if "FreeCom" not in await screen(qmp, path):
                break
            await asyncio.sleep(0.1)
        await qmp.execute("snapshot-load", {"filename": snapshot})
        assert "FreeCom version 0.82" in await screen(qmp, path)
        await refused(qmp, "snapshot-load", {"filename": png}, "no snapshot")
        assert "FreeCom version 0.82" in await screen(qmp, path)

        # another floppy, and back: the change line tells DOS
        other = os.path.join(directory, "other.img")
        with open(other, "wb") as file:
            file.truncate(1474560)
        await refused(qmp, "blockdev-change-medium", {"device": "floppy7", "filename": other}, "not found")
        await refused(qmp, "blockdev-change-medium", {"device": "floppy0", "filename": png}, "multiple of 512")
        await qmp.execute("blockdev-change-medium", {"device": "floppy0", "filename": other})
        await type_text(qmp, "dir\n")
        await wait_for(qmp, path, "File not found.")
        await qmp.execute("eject", {"device": "floppy0"})
        await qmp.execute("blockdev-change-medium", {"device": "floppy0", "filename": floppy})

        event = {"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": "shift"}}}
        await qmp.execute("input-send-event", {"events": [event]})
        event["data"]["down"] = False
        await qmp.execute("input-send-event", {"events": [event]})

        await qmp.execute("system_reset")
        reset = await events.get()
        assert reset["event"] == "RESET" and not reset["data"]["guest"], reset
        await wait_for(qmp, path, "SeaBIOS")
        await prompt(qmp, path)
        await qmp.execute("system_powerdown")
        assert (await events.get())["event"] == "POWERDOWN"
        await qmp.execute("quit")
        ended = await events.get()
        assert ended["event"] == "SHUTDOWN" and ended["data"]["reason"] == "host-qmp-quit", ended
    try:
        await qmp.disconnect()
    except EOFError:
        pass  # the other side, which was asked to end, was quicker


asyncio.run(main(*sys.argv[1:]))
