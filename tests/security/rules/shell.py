import asyncio
import os
import subprocess


async def run(name):
    # ruleid: shell
    subprocess.run(f"git fetch {name}", shell=True)
    # ruleid: shell
    os.system("git gc")
    # ruleid: shell
    await asyncio.create_subprocess_shell(name)
    # ok: shell
    subprocess.run(["git", "fetch", "--", name])
    # ok: shell
    await asyncio.create_subprocess_exec("git", "fetch")
