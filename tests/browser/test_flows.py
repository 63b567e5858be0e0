"""The main things that people do in the console, each from its beginning to its end, with and without JavaScript."""

import re
from pathlib import Path

import openai
import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewWindow
from tests.browser.demo import HELLO, Demo, bind, eventually
from tests.browser.doing import invite, join, make_key
from tests.browser.watching import Window
from tests.integration.gitops.repos import Repo, policy
from tests.product import Person
from tests.product.people import Org, new_org


def ask(org: Org, token: str, words: int = 20) -> str:
    """What a request used, by its id; the model has answered."""
    client = org.user.openai(token, max_retries=0)
    answer = client.chat.completions.with_raw_response.create(model="mock-gpt", messages=HELLO, max_tokens=words)
    return answer.headers["x-request-id"]


def counted(org: Org, requests: int) -> None:
    """Wait until usage knows of so many requests."""

    def known() -> bool:
        return bool(org.user.get(f"/analytics/orgs/{org.id}/usage")["totals"]["requests"] >= requests)

    eventually(known, "the requests are counted")


async def test_an_organisation_goes_from_nothing_to_its_first_call_along_the_checklist(
    new_window: NewWindow, window: Window, operator: Person
) -> None:
    name = f"first-run-{'quick' if window.scripts else 'plain'}"
    await window.login(operator.email)
    await window.go("Organisations")
    await window.page.get_by_role("link", name="New organisation").click()
    await window.page.get_by_label("Name").fill(name)
    await window.page.get_by_role("button", name="Create it").click()
    await expect(window.page.get_by_role("heading", name=name)).to_be_visible()
    link = await invite(window, f"first@{name}.example.com", "org-admin")

    guest = await new_window(scripts=window.scripts)
    page = guest.page
    await join(guest, link, "Ada Lovelace")
    steps = page.get_by_role("region", name="First steps")
    to_make, to_send = (steps.get_by_text(re.compile(f"{step}.*, to do")) for step in ("API key", "first request"))
    await expect(to_make).to_be_visible()
    await steps.get_by_role("link", name="Make a key").click()
    token = await make_key(guest, "first")
    await guest.go("Home")
    await expect(to_make).to_have_count(0)
    await expect(to_send).to_be_visible()

    url = f"{operator.product.gateway_url}/v1"
    openai.OpenAI(base_url=url, api_key=token).chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=5)
    await guest.until_gone(to_send)


async def test_a_member_is_invited_by_a_link_that_works_once(
    new_window: NewWindow, window: Window, operator: Person
) -> None:
    org = new_org(operator)
    await window.login(org.admin.email)
    await window.go("Members")
    link = await invite(window, f"hedy@{org.name}.example.com", "org-user")
    assert link.startswith(window.url)

    guest = await new_window(scripts=window.scripts)
    await join(guest, link, "Hedy Lamarr", "Aa1!Aa1!Aa1!")  # which is easily guessed
    await expect(guest.page.get_by_label("A new password")).to_have_attribute("aria-invalid", "true")
    await expect(guest.page.get_by_label("Your name")).to_have_value("Hedy Lamarr")
    await join(guest, link, "Hedy Lamarr")
    await expect(guest.page.get_by_role("status")).to_contain_text("Welcome, Hedy Lamarr")

    await window.go("Members")
    await expect(window.page.get_by_role("link", name="Hedy Lamarr")).to_be_visible()
    await join(guest, link, "Somebody else")
    await expect(guest.page.get_by_role("alert")).to_be_visible()


async def test_a_budget_is_set_fills_and_refuses(window: Window, operator: Person) -> None:
    org = new_org(operator)
    token = org.user.issue_key()["token"]
    page = window.page
    await window.login(org.admin.email)
    await window.go("Budget and limits")
    await page.get_by_label("Tokens a month of the organisation").fill("3000")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_be_visible()
    await expect(page.get_by_text("0 of 3k tokens used")).to_be_visible()

    ask(org, token, 200)
    used = operator.get(f"/organizations/{org.id}/budget")["used_tokens"]
    assert used > 0
    await window.go("Budget and limits")
    await expect(page.get_by_text(f"{used} of 3k tokens used")).to_be_visible()

    await page.get_by_label("Tokens a month of the organisation").fill("10")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("every request is refused at once")).to_be_visible()
    await page.get_by_role("button", name="Lower it").click()
    await expect(page.get_by_role("status")).to_be_visible()
    with pytest.raises(openai.RateLimitError):
        ask(org, token)


async def test_usage_is_explored_by_filters_that_the_address_carries(
    new_window: NewWindow, window: Window, demo_platform: Demo
) -> None:
    lab, page = demo_platform.lab, window.page
    await window.login(lab.admin.email)
    await window.go("Usage")
    await page.get_by_role("link", name="30 days").click()
    await expect(page).to_have_url(re.compile("period=30d"))
    await page.get_by_label("Model", exact=True).select_option("llama-3.3-70b")
    if not window.scripts:
        await page.get_by_role("button", name="Apply").click()
    await expect(page).to_have_url(re.compile("model=llama"))
    await page.get_by_role("link", name="By member").click()
    await expect(page).to_have_url(re.compile("by=user"))
    await expect(page).to_have_url(re.compile("(?=.*period=30d)(?=.*model=llama)"))
    table = page.get_by_role("table", name=re.compile("Usage, the most tokens first"))
    shown = await table.inner_text()
    assert "Grace" in shown or "grace@" in shown

    other = await new_window(scripts=False)
    await other.login(lab.admin.email)
    await other.open(page.url.removeprefix(window.url))
    again = other.page.get_by_role("table", name=re.compile("Usage, the most tokens first"))
    await expect(again).to_have_text(re.compile(re.escape(shown.split()[-1])))
    await page.go_back()
    await expect(page).to_have_url(re.compile("model=llama"))


async def test_a_request_is_found_by_its_id_with_its_ledger_lines(window: Window, operator: Person) -> None:
    org = new_org(operator)
    request_id = ask(org, org.user.issue_key("found")["token"])
    counted(org, 1)
    page = window.page
    await window.login(org.user.email)
    await window.go("Requests")
    await page.get_by_label("Find by request id").fill(request_id)
    await page.get_by_role("button", name="Find").click()
    await expect(page).to_have_url(re.compile(f"/requests/{request_id}$"))
    await expect(page.get_by_text(request_id).first).to_be_visible()
    lines = page.get_by_role("table", name=re.compile("[Ll]edger"))
    await expect(lines.get_by_role("row")).to_have_count(3)


async def test_what_git_manages_is_locked_and_says_which_file(
    window: Window, operator: Person, repositories: Path
) -> None:
    org = new_org(operator, f"git-{'quick' if window.scripts else 'plain'}")
    file = f"orgs/{org.name}/org.yaml"
    repo = Repo(repositories / org.name)
    repo.commit({file: policy(org.name, "  budgets:\n    monthly_tokens: 5000\n")})
    bind(operator, org.id, repo)
    page = window.page
    await window.login(org.admin.email)
    await window.go("GitOps")
    await expect(page.get_by_text("in force", exact=True)).to_be_visible()
    await expect(page.get_by_text(file).first).to_be_visible()
    await window.go("Budget and limits")
    await expect(page.get_by_text(re.compile(f"Managed by Git: {file}:[0-9]+"))).to_be_visible()
    await expect(page.get_by_text("0 of 5k tokens used")).to_be_visible()

    repo.commit({file: policy(org.name, "  budgets:\n    monthly_tokens: 6000\n")})
    await window.go("GitOps")
    await page.get_by_role("button", name="Sync now").click()
    eventually(
        lambda: operator.get(f"/organizations/{org.id}/budget")["monthly_tokens"] == 6000, "the new file is in force"
    )
    await window.go("Budget and limits")
    await expect(page.get_by_text("0 of 6k tokens used")).to_be_visible()


async def test_a_suspended_organisation_says_so_and_lets_nobody_in(
    new_window: NewWindow, window: Window, operator: Person
) -> None:
    org = new_org(operator)
    token = org.user.issue_key()["token"]
    member = await new_window(scripts=window.scripts)
    await member.login(org.user.email)
    page = window.page
    await window.login(operator.email)
    await window.open(f"/orgs/{org.id}/administration")
    await page.get_by_role("link", name="Suspend").click()
    await page.get_by_label("Reason").fill("The contract has ended.")
    await page.get_by_role("button", name="Suspend it").click()
    await window.open(f"/orgs/{org.id}")
    await expect(page.get_by_role("alert").filter(has_text="This organisation is suspended")).to_be_visible()
    with pytest.raises(openai.APIStatusError):
        ask(org, token)
    await member.open(f"/orgs/{org.id}/keys")
    await expect(member.page.get_by_text(org.user.email)).to_have_count(0)

    await window.open(f"/orgs/{org.id}/administration")
    await page.get_by_role("button", name="Resume").click()
    await window.open(f"/orgs/{org.id}")
    await expect(page.get_by_role("alert")).to_have_count(0)
    ask(org, token)


async def test_the_playground_answers_and_says_what_it_cost(window: Window, operator: Person) -> None:
    org = new_org(operator)
    page = window.page
    await window.login(org.user.email)
    await window.go("Playground")
    await page.get_by_role("button", name="Make a key for an hour").click()
    await page.get_by_label("Model", exact=True).select_option("mock-gpt")
    await page.get_by_label("Tokens at most").fill("200")
    await page.get_by_label("Message", exact=True).fill("Tell me about the ledger.")
    await page.get_by_role("button", name="Send").click()
    messages = page.get_by_role("region", name="Messages")
    await expect(messages.get_by_text("Tell me about the ledger.")).to_be_visible()
    await expect(messages.get_by_text(re.compile("^[1-9][0-9]* tokens$"))).to_be_visible()
    answer = messages.get_by_role("article").nth(1)
    assert len((await answer.inner_text()).split()) > 10
    counted(org, 1)
    await expect(page.get_by_text("curl").first).to_be_visible()


async def test_an_answer_comes_word_by_word_and_is_stopped(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    window = await new_window()
    page = window.page
    await window.login(org.user.email)
    await window.go("Playground")
    await page.get_by_role("button", name="Make a key for an hour").click()
    await page.get_by_label("Model", exact=True).select_option("mock-gpt")
    await page.get_by_label("Message", exact=True).fill("[[mock tokens=500 delay_ms=200]] Count to a thousand.")
    await page.get_by_role("button", name="Send").click()
    answer = page.get_by_role("article").nth(1).locator(".turn-text").last
    await expect(answer).to_have_text(re.compile(r"\w+ \w+ \w+"))
    early = await answer.inner_text()
    await expect(answer).not_to_have_text(early)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()
    assert len((await answer.inner_text()).split()) < 400
