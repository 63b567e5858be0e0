"""What `ias dev up` says at the end: where everything is, who may log in, and a request to copy."""

from ias.dev import processes
from ias.dev.state import Folder, State
from ias.dev.vllm import server

CURL = """curl -N {url}/v1/chat/completions \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'"""


def summary(folder: Folder, state: State, model: str) -> str:
    """The closing lines; the request to copy is for `model`."""
    demo = state.demo
    return f"""
Gateway      {state.url("gateway")}/v1   (health and metrics: {state.url("gateway_metrics")})
Console      {state.url("api")}
API          {state.url("api")}/api/v1   (OpenAPI: {state.url("api")}/api/v1/openapi.json)
Worker       {state.url("worker")}/ready
Engine       {state.url("engine")}   (the mock model server){_real(folder, state)}
Login        {demo.admin.email} / {demo.admin.password}   (system admin)
             {demo.org_admin.email} / {demo.org_admin.password}   (admin of demo-team)
             {demo.org_user.email} / {demo.org_user.password}   (user in demo-team)
Variables    {folder.env_file}   (set -a; . .ias/dev.env; set +a)

Try it:
{curl(state, model)}

make logs, make down; .venv/bin/ias dev status, .venv/bin/ias dev run ias doctor"""


def curl(state: State, model: str) -> str:
    """A streamed completion with the demo key."""
    return CURL.format(url=state.url("gateway"), key=state.demo.api_key, model=model)


def _real(folder: Folder, state: State) -> str:
    if processes.running(folder, server.NAME) is None:
        return ""
    return f"\nvLLM         {state.url(server.NAME)}   (a real model: {server.MODEL})"
