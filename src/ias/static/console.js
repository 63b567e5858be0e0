// What JavaScript adds to pages that work without it: copying, moments that keep up, dialogs, `/`, forms sent once.

const RELATIVE_EVERY_MS = 30_000;
const SENT_MS = 5_000;
const STEPS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];
const LONG_AGO_S = 60 * 86_400;

function relative(at, now) {
  const seconds = (now - at) / 1000;
  const away = Math.abs(seconds);
  if (away < 10) return "just now";
  if (away >= LONG_AGO_S) return null;
  const [length, name] = STEPS.find(([length]) => away >= length);
  const count = Math.floor(away / length);
  const said = `${count} ${name}${count === 1 ? "" : "s"}`;
  return seconds > 0 ? `${said} ago` : `in ${said}`;
}

function tell(root = document) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const said = relative(new Date(time.dateTime), new Date());
    if (said && said !== time.textContent) time.textContent = said;
  }
}

function show(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  tell(root);
}

async function copy(button) {
  const text = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom).textContent : button.dataset.copy;
  const label = button.querySelector("[data-copy-label]");
  const said = label.dataset.said ??= label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = "Copied";
    button.classList.add("done");
  } catch {
    label.textContent = "Select and copy it";
  }
  setTimeout(() => { label.textContent = said; button.classList.remove("done"); }, 2000);
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-copy], [data-dialog], [data-close]");
  if (!target) return;
  if (target.matches("[data-copy]")) return void copy(target);
  if (target.matches("[data-close]")) return target.closest("dialog").close();
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  document.getElementById(target.dataset.dialog).showModal();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.closest("details")?.setAttribute("open", "");
  field.focus();
  field.select();
});

// A form that is sent twice by a quick hand is sent once; whoever comes back to the page may send it again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, SENT_MS);
  (event.submitter ?? form.querySelector("button"))?.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", (event) => {
  // What a browser kept of a page may be of somebody who has logged out.
  if (event.persisted) location.reload();
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.matches("form[data-live]")) form.requestSubmit();
});

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf]")?.content ?? "";
});
// What has no such part is a page of its own, such as a fault: it is shown as one.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target, requestConfig, pathInfo } = event.detail;
  if (xhr.status < 400 || requestConfig.verb !== "get" || !target.id) return;
  if (new DOMParser().parseFromString(xhr.responseText, "text/html").getElementById(target.id)) return;
  event.detail.shouldSwap = false;
  location.assign(pathInfo.finalRequestPath);
});
document.addEventListener("htmx:load", (event) => show(event.detail.elt));

const menu = document.querySelector("details.menu");
document.addEventListener("keyup", (event) => {
  if (event.key === "Escape" && menu?.open) { menu.open = false; menu.querySelector("summary").focus(); }
});

show(document);
setInterval(tell, RELATIVE_EVERY_MS);
