// Runs cases, all at once, and prints one line of JSON for each: what it returned, or how it failed.
import { text } from "node:stream/consumers";
import OpenAI from "openai";

export const told = JSON.parse(await text(process.stdin));

/** A client whose requests name their case. */
export function client(name, more = {}) {
  return new OpenAI({ baseURL: `${told.url}/v1`, apiKey: told.token, defaultHeaders: { "x-case": name }, ...more });
}

export async function run(cases) {
  await Promise.all(
    Object.entries(cases).map(async ([name, body]) => {
      let report;
      try {
        report = { result: (await body(told.url && client(name))) ?? null };
      } catch (error) {
        report = { error: String(error?.stack ?? error) };
      }
      process.stdout.write(`${JSON.stringify({ case: name, ...report })}\n`);
    }),
  );
}

/** What an error of the SDK says. */
export function facts(error) {
  const { status, code, type, param, requestID, message } = error;
  return { class: error.constructor.name, status: status ?? null, code, type, param, id: requestID ?? null, message };
}

/** The error that a call ends with. */
export async function failure(call) {
  try {
    const answer = await call();
    if (answer?.[Symbol.asyncIterator]) for await (const _ of answer);
  } catch (error) {
    return facts(error);
  }
  throw new Error("it did not fail");
}

export async function all(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}
