// What JavaScript adds to the playground: the answer as it comes, how quick it was, and a button that stops it.

const form = document.querySelector("form[data-playground]");
const turns = document.getElementById("turns");
const csrf = document.querySelector("meta[name=csrf]").content;
const longest = 1 << 20; // The server takes no longer request.
let running = null;

function fields() {
  return new URLSearchParams(new FormData(form));
}

function send(url, body, signal) {
  const headers = { "X-CSRF-Token": csrf, Accept: "text/event-stream, text/html" };
  return fetch(url, { method: "POST", body, headers, signal, credentials: "same-origin", redirect: "manual" });
}

// What to do where the server did not begin an answer; nothing where it did.
function whyNot(told) {
  if (told.type === "opaqueredirect" || told.status === 401) return "You are logged out: copy what you want to keep, open this page again, and log in again.";
  if (told.status === 400 || told.status === 413) return "This conversation is too long to be sent: begin a new conversation.";
  if (told.status === 403) return "This page may not be sent from any more: copy what you want to keep, and open it again.";
  return told.ok && told.body ? "" : `The page's server answered ${told.status}. Send it again.`;
}

function addTurn(kind, who) {
  const turn = document.getElementById("turn").content.firstElementChild.cloneNode(true);
  turn.classList.add(kind);
  turn.querySelector("h3").textContent = who;
  turns.querySelector(".turns-none").before(turn);
  turns.querySelector(".turns-none").hidden = true;
  const [reasons, text] = turn.querySelectorAll(".turn-text");
  return { turn, reasons, text, said: "" };
}

// What answers of this server's own pages are made of: its templates escape what is put into them.
function put(html, where) {
  const made = new DOMParser().parseFromString(html, "text/html");
  const nodes = [...made.body.childNodes].map((node) => document.adoptNode(node));
  where.append(...nodes);
  for (const button of where.querySelectorAll("[data-copy]")) button.hidden = false;
}

// Server-sent events: whole ones out of what has come so far.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n");
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      const name = lines.find((line) => line.startsWith("event:"))?.slice(6).trim() ?? "message";
      if (data) yield { name, data };
    }
  }
}

function takeChunk(chunk, answer, seen) {
  const choice = chunk.choices?.[0];
  const reasons = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "";
  const text = choice?.delta?.content ?? "";
  if ((reasons || text) && seen.first === null) seen.first = performance.now() - seen.began;
  if (reasons) {
    answer.reasons.parentElement.hidden = false;
    answer.reasons.append(reasons);
  }
  if (text) {
    answer.said += text;
    answer.text.append(text);
  }
  if (choice?.finish_reason) seen.finish = choice.finish_reason;
  if (chunk.usage) seen.usage = chunk.usage;
}


function takeEvent({ name, data }, answer, seen) {
  if (data === "[DONE]") return;
  const told = JSON.parse(data);
  if (name === "begun") seen.request = told.request_id;
  else if (name === "refused") { seen.refused = true; turns.append(refusal(told)); }
  else if (told.error) { seen.refused = true; answer.turn.append(note(told.error.message)); }
  else takeChunk(told, answer, seen);
}

function refusal({ status, code, message, todo }) {
  const made = document.getElementById("refusal").content.firstElementChild.cloneNode(true);
  const title = made.querySelector("strong"), [what, next] = made.querySelectorAll("p");
  title.textContent = status || "No answer";
  if (status && code) {
    const word = document.createElement("code");
    word.textContent = code;
    title.append(" ", word);
  }
  what.textContent = message;
  next.textContent = todo;
  made.setAttribute("role", "alert");
  return made;
}

function note(text) {
  const made = document.createElement("p");
  made.className = "fault";
  made.textContent = text;
  return made;
}

function near() {
  return turns.scrollHeight - turns.scrollTop - turns.clientHeight < 80;
}

async function listen(body, answer, seen) {
  for await (const event of events(body)) {
    const follow = near();
    takeEvent(event, answer, seen);
    if (follow) turns.scrollTop = turns.scrollHeight;
  }
}

async function tellSum(answer, seen, model) {
  if (!seen.usage) return;
  const body = new URLSearchParams({
    model,
    prompt_tokens: seen.usage.prompt_tokens ?? 0,
    completion_tokens: seen.usage.completion_tokens ?? 0,
    cached_tokens: seen.usage.prompt_tokens_details?.cached_tokens ?? 0,
    total_ms: seen.total.toFixed(1),
    request_id: seen.request ?? "",
    finish: seen.finish ?? "",
  });
  if (seen.first !== null) body.set("first_ms", seen.first.toFixed(1));
  try {
    const told = await send(form.dataset.sum, body);
    if (told.ok) put(await told.text(), answer.turn);
  } catch {
    answer.turn.append(note("What it used cannot be told now; the page of requests has it."));
  }
}

function remember(question, answered) {
  for (const [name, value] of [["asked", question], ["answered", answered]]) {
    const held = document.createElement("textarea");
    held.name = name;
    held.value = value;
    form.querySelector("[data-history]").append(held);
  }
}

// Without an answer the question goes back to where it was written.
function takeBack(question, both) {
  form.elements.content.value = question;
  for (const note of both[1].querySelectorAll(":scope > .fault")) turns.append(note);
  for (const turn of both) turn.remove();
}

function busy(now) {
  form.querySelector("[data-stop]").hidden = !now;
  form.querySelector("button:not([data-stop])").disabled = now;
  turns.setAttribute("aria-busy", String(now));
}

function tell(said) {
  form.querySelector("[data-told]").textContent = said;
}

async function ask() {
  const body = fields(), question = body.get("content").trim(), model = body.get("model");
  if (!question || running) return;
  running = new AbortController();
  for (const old of turns.querySelectorAll(":scope > .banner, :scope > .fault")) old.remove();
  const mine = addTurn("mine", "You");
  mine.text.textContent = question;
  const answer = addTurn("theirs", model);
  const seen = { began: performance.now(), first: null, usage: null, refused: false };
  turns.scrollTop = turns.scrollHeight;
  busy(true);
  tell("The answer comes…");
  form.elements.content.value = "";
  try {
    const told = body.toString().length > longest ? { status: 413 } : await send(form.dataset.stream, body, running.signal);
    const wrong = whyNot(told);
    if (wrong) {
      answer.turn.append(note(wrong));
      seen.refused = true;
    } else await listen(told.body, answer, seen);
  } catch (error) {
    const stopped = error.name === "AbortError";
    answer.turn.append(note(stopped ? "You stopped it here; what came is booked." : `The answer broke off. Send it again. (${error.message})`));
    seen.refused = true;
  }
  seen.total = performance.now() - seen.began;
  running = null;
  if (answer.said) remember(question, answer.said);
  else takeBack(question, [mine.turn, answer.turn]);
  busy(false);
  tell(seen.refused ? (answer.said ? "There is no more of the answer." : "There is no answer.") : `The answer is complete: ${seen.usage?.completion_tokens ?? "some"} tokens.`);
  await tellSum(answer, seen, model);
  turns.scrollTop = turns.scrollHeight;
  if (answer.said) document.body.dispatchEvent(new Event("answered"));
  form.elements.content.focus();
}

if (form) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.hasAttribute("formaction")) return;
    event.preventDefault();
    ask();
  });
  form.elements.content.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.querySelector("[data-stop]").addEventListener("click", () => running?.abort());
  // A fault of the code's own request is not shown in its place; asking says what is wrong.
  document.getElementById("code").addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400) event.detail.shouldSwap = false;
  });
  for (const each of document.querySelectorAll("[data-without-js]")) each.hidden = true;
  turns.scrollTop = turns.scrollHeight;
}
