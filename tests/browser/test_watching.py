"""What the other tests rely on: that whatever a page does wrong is seen."""

from playwright.async_api import Route

from tests.browser.axe import violations
from tests.browser.conftest import NewWindow

POLICY = "default-src 'none'; report-uri /csp-reports"


async def test_an_error_a_broken_policy_and_a_request_to_elsewhere_are_noted(new_window: NewWindow) -> None:
    window = await new_window()

    async def strict(route: Route) -> None:
        body, headers = "<script>0</script>", {"content-security-policy": POLICY, "content-type": "text/html"}
        await route.fulfill(body=body, headers=headers)

    async def loose(route: Route) -> None:
        body = "<img alt='' src='http://192.0.2.1/outside.png'><script>throw new Error('wrong')</script>"
        await route.fulfill(body=body, content_type="text/html")

    await window.context.route("http://192.0.2.1/**", lambda route: route.abort())
    await window.context.route("**/strict", strict)
    await window.context.route("**/loose", loose)
    await window.open("/strict")
    await window.open("/loose")
    await window.page.wait_for_load_state("networkidle")
    said = " | ".join(window.noted)
    for wrong in ("Content Security Policy", "broke the policy", "asked http://192.0.2.1/outside.png", "loose: wrong"):
        assert wrong in said, said
    window.noted.clear()


async def test_axe_finds_what_is_wrong_with_a_page(new_window: NewWindow) -> None:
    window = await new_window()
    await window.open("/login")
    await window.page.evaluate("document.querySelector('label').remove()")
    assert any(each.startswith("label ") for each in await violations(window.page))
