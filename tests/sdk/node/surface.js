// What the SDK gets, route by route; test_node.py says what each case must report.
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { all, facts, failure, run, told } from "./cases.js";

const model = "mock-gpt";
const said = (content) => [{ role: "system", content: "You are brief." }, { role: "user", content }];
const Landmark = z.object({ name: z.string(), height: z.number().int(), climbed: z.boolean() });
const parameters = {
  type: "object",
  properties: { place: { type: "string" }, days: { type: "integer" } },
  required: ["place", "days"],
  additionalProperties: false,
};
const tool = (name) => ({ type: "function", function: { name, parameters, strict: true } });
const joined = (chunks, index = 0) =>
  chunks.flatMap((chunk) => chunk.choices.filter((one) => one.index === index).map((one) => one.delta.content ?? "")).join("");
const names = (calls) => calls.map((call) => [call.function.name, call.function.arguments]);

await run({
  async chat(client) {
    const answer = await client.chat.completions.create({ model, messages: said("[[mock tokens=6]]") });
    return { text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason, usage: answer.usage, id: answer._request_id };
  },

  async stream(client) {
    const asked = { model, messages: said("hello"), max_tokens: 9 };
    const whole = await client.chat.completions.create(asked);
    const chunks = await all(await client.chat.completions.create({ ...asked, stream: true }));
    const counted = await all(
      await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } }),
    );
    return {
      whole: whole.choices[0].message.content,
      streamed: joined(chunks),
      usages: [chunks, counted].map((some) => some.filter((chunk) => chunk.usage).length),
      last: counted.at(-1),
    };
  },

  async helper(client) {
    const asked = { model, messages: said("[[mock tokens=9]]") };
    const whole = await client.chat.completions.create(asked);
    const pieces = [];
    const stream = client.chat.completions.stream(asked).on("content", (piece) => pieces.push(piece));
    const final = await stream.finalChatCompletion();
    return { whole: whole.choices[0].message.content, pieces, final: final.choices[0].message.content };
  },

  async parse(client) {
    const response_format = zodResponseFormat(Landmark, "landmark");
    const asked = { model, messages: said("Name one."), max_completion_tokens: 200, response_format };
    const whole = await client.chat.completions.parse(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    return { whole: whole.choices[0].message.parsed, streamed: streamed.choices[0].message.parsed };
  },

  async cutShort(client) {
    const response_format = zodResponseFormat(Landmark, "landmark");
    return failure(() =>
      client.chat.completions.parse({ model, messages: said("Name one."), max_completion_tokens: 3, response_format }),
    );
  },

  async tools(client) {
    const asked = { model, messages: said("[[mock tools=3]]"), tools: [tool("weather"), tool("forecast")], max_tokens: 500 };
    const whole = await client.chat.completions.create(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    const { message, finish_reason } = whole.choices[0];
    const answers = message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "Rain." }));
    const next = await client.chat.completions.create({
      model,
      messages: [...said("How is it?"), message, ...answers],
      tools: asked.tools,
      max_tokens: 5,
    });
    return {
      whole: names(message.tool_calls),
      streamed: names(streamed.choices[0].message.tool_calls),
      finish: finish_reason,
      next: next.choices[0].message.content,
    };
  },

  async logprobs(client) {
    const asked = { model, messages: said("[[mock tokens=4]]"), logprobs: true, top_logprobs: 2 };
    const whole = await client.chat.completions.create(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    return [whole, streamed].map(({ choices: [{ message, logprobs }] }) => ({
      text: message.content,
      tokens: logprobs.content.map((one) => one.token),
      tops: logprobs.content.map((one) => one.top_logprobs.length),
    }));
  },

  async choices(client) {
    const asked = { model, messages: said("hello"), n: 2, seed: 7, temperature: 0.5, max_tokens: 8 };
    const first = await client.chat.completions.create(asked);
    const again = await client.chat.completions.create(asked);
    const chunks = await all(await client.chat.completions.create({ ...asked, stream: true }));
    const texts = first.choices.map((choice) => choice.message.content);
    const stop = texts[0].slice(5, 9);
    const cut = await client.chat.completions.create({ ...asked, n: 1, stop: [stop] });
    return {
      texts,
      again: again.choices.map((choice) => choice.message.content),
      streamed: [0, 1].map((index) => joined(chunks, index)),
      stop,
      cut: cut.choices[0].message.content,
    };
  },

  async reasoning(client) {
    const answer = await client.chat.completions.create({ model: "mock-reasoner", messages: said("hello"), max_completion_tokens: 40 });
    return answer.choices[0].message;
  },

  async text(client) {
    const asked = { model, prompt: ["a", "b"], max_tokens: 4 };
    const whole = await client.completions.create(asked);
    const chunks = await all(await client.completions.create({ ...asked, stream: true }));
    const text = (index) => chunks.flatMap((chunk) => chunk.choices.filter((one) => one.index === index).map((one) => one.text)).join("");
    return { whole: whole.choices.map((choice) => choice.text), streamed: [text(0), text(1)] };
  },

  async embeddings(client) {
    const asked = { model: "mock-embed", input: ["hello", "world"] };
    const packed = await client.embeddings.create(asked);
    const plain = await client.embeddings.create({ ...asked, encoding_format: "float" });
    return [packed, plain].map((answer) => answer.data.map((one) => one.embedding));
  },

  async models(client) {
    const listed = await all(client.models.list());
    return {
      listed: listed.map((one) => one.id),
      one: (await client.models.retrieve("mock-embed")).id,
      unknown: await failure(() => client.models.retrieve("gpt/9 ä")),
    };
  },

  async notServed(client) {
    return failure(() => client.moderations.create({ input: "hello" }));
  },

  async headers(client) {
    const call = client.chat.completions.create({ model, messages: said("hi"), max_tokens: 3 });
    const { data, response, request_id } = await call.withResponse();
    return { id: data._request_id, request_id, headers: Object.fromEntries(response.headers) };
  },

  async responses(client) {
    const asked = { model, input: "hello", instructions: "Be brief.", max_output_tokens: 30 };
    const whole = await client.responses.create(asked);
    const stream = client.responses.stream(asked);
    const kinds = (await all(stream)).map((event) => event.type);
    const final = await stream.finalResponse();
    const parsed = await client.responses.parse({ model, input: "Name one.", text: { format: zodTextFormat(Landmark, "landmark") } });
    const called = await client.responses.create({ model, input: "[[mock tools=2]]", tools: [{ type: "function", name: "weather", parameters, strict: true }] });
    return {
      status: whole.status,
      whole: whole.output_text,
      streamed: final.output_text,
      kinds: [kinds[0], kinds.at(-1)],
      parsed: parsed.output_parsed,
      called: called.output.map((item) => item.type),
    };
  },

  async stored(client) {
    return failure(() => client.responses.create({ model, input: "hello", previous_response_id: "resp_1" }));
  },

  async transcription(client) {
    const file = await toFile(Buffer.from(told.sound, "base64"), "hello.wav");
    const whole = await client.audio.transcriptions.create({ model: "mock-whisper", file });
    const events = await all(await client.audio.transcriptions.create({ model: "mock-whisper", file, stream: true }));
    return { text: whole.text, events: events.length };
  },

});

// What is given up after a while comes last, when nothing else keeps this process busy.
await run({
  async timeout(client) {
    const never = { model, messages: said("[[mock first_ms=60000]]") };
    return failure(() => client.chat.completions.create(never, { timeout: 2000, maxRetries: 0 }));
  },

  async leaving(client) {
    const stream = await client.chat.completions.create({
      model,
      messages: said("[[mock tokens=4000 delay_ms=5]]"),
      max_tokens: 4000,
      stream: true,
    });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 20) break;
    return { chunks, aborted: stream.controller.signal.aborted };
  },

  async aborting(client) {
    const left = new AbortController();
    const call = client.chat.completions.create(
      { model, messages: said("[[mock tokens=4000 delay_ms=5]]"), max_tokens: 4000 },
      { signal: left.signal },
    );
    setTimeout(() => left.abort(), 2000);
    try {
      await call;
    } catch (error) {
      return { ...facts(error), abort: error instanceof OpenAI.APIUserAbortError };
    }
    return null;
  },
});
