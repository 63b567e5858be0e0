"""`.ias/dev.env`: what a person's shell, an SDK or a script needs to use the stack."""

from ias.dev.state import Folder, State, write_private


def variables(state: State) -> dict[str, str]:
    """Names and values; `OPENAI_*` are what OpenAI's SDKs read by themselves."""
    demo = state.demo
    return {
        "IAS_API_URL": state.url("api"),
        "IAS_GATEWAY_URL": state.url("gateway"),
        "IAS_METRICS_URL": state.url("gateway_metrics"),
        "IAS_ADMIN_EMAIL": demo.admin.email,
        "IAS_ADMIN_PASSWORD": demo.admin.password,
        "IAS_ORG_ID": demo.org_id,
        "IAS_ORG_ADMIN_EMAIL": demo.org_admin.email,
        "IAS_ORG_ADMIN_PASSWORD": demo.org_admin.password,
        "IAS_ORG_USER_EMAIL": demo.org_user.email,
        "IAS_ORG_USER_PASSWORD": demo.org_user.password,
        "OPENAI_BASE_URL": f"{state.url('gateway')}/v1",
        "OPENAI_API_KEY": demo.api_key,
    }


def text(state: State) -> str:
    """One `NAME=value` a line; no value needs quotes."""
    return "".join(f"{name}={value}\n" for name, value in variables(state).items())


def write(folder: Folder, state: State) -> None:
    """Write the file, readable by its owner only."""
    write_private(folder.env_file, text(state).encode())
