// Every row of the table of errors: what the SDK makes of it. The requests are counted on the way.
import { client, failure, run, told } from "./cases.js";

const cases = {};
for (const { name, url, token, body } of told.rows) {
  cases[name] = () => failure(() => client(`${told.language}: ${name}`, { baseURL: url, apiKey: token }).chat.completions.create(body));
}
for (const { name, url, token, body, calls } of told.paced) {
  cases[name] = async () => {
    const patient = client(`${told.language}: ${name}`, { baseURL: url, apiKey: token });
    for (let call = 0; call < calls; call++) await patient.chat.completions.create(body);
  };
}
await run(cases);
