// All that the openai library of npm does with webhook endpoints; prints what it saw as JSON.
import OpenAI from "openai";

const { webhooks } = new OpenAI();
const made = await webhooks.create({ event_types: ["video.failed"], name: "Orders", url: process.argv[2] });
const tested = await webhooks.test(made.id, { event_type: "video.failed" });
const rotated = await webhooks.rotateSecret(made.id, { keep_old_secret_active_for_24_hours: true });
const changed = await webhooks.update(made.id, { name: "Sales" });
const listed = [];
for await (const one of webhooks.list({ limit: 1 })) listed.push(one.id);
const types = (await webhooks.eventTypes.list()).data;
const deleted = await webhooks.delete(made.id);
const gone = await webhooks.retrieve(made.id).catch((error) => error);
console.log(
  JSON.stringify({
    types,
    tested: tested.status_code,
    rotated: rotated.signing_secret !== made.signing_secret,
    changed: changed.name,
    listed: listed.includes(made.id),
    deleted: deleted.deleted,
    gone: gone.status,
  }),
);
