/** A job, a dry run and a subscription by openapi-fetch, with the types of openapi-typescript. */
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const { CLIPBELL_URL, CLIPBELL_KEY } = process.env;
const client = createClient<paths>({
  baseUrl: CLIPBELL_URL,
  headers: { "x-api-key": CLIPBELL_KEY },
});

const subscription = await client.POST("/v1/subscriptions", {
  body: { channel: "webhook", target: "http://127.0.0.1:9/hook", events: ["job.canceled"] },
  params: { query: { test: false } },
});
if (!subscription.data?.secret.startsWith("whsec_")) throw new Error("no secret");

const plan = await client.POST("/v1/dry-runs", {
  body: { model: "kling-2", input: { prompt: "A fox", duration: 5 } },
});
if (plan.data?.cost.estimated_max !== 1.75) throw new Error("no price");

const { data, error } = await client.POST("/v1/jobs", {
  body: { model: "kling-2", input: { prompt: "A fox", duration: 5 } },
});
if (error) throw new Error(error.detail);

const page = await client.GET("/v1/jobs", { params: { query: { state: "queued", limit: 1 } } });
if (page.data?.data[0]?.id !== data.id) throw new Error("no such job");

const events = await client.GET("/v1/events", { params: { query: { type: ["job.canceled"] } } });
for (const event of events.data?.data ?? []) {
  if (event.type === "job.canceled") throw new Error(event.data.state);
  if (event.type === "subscription.disabled") throw new Error(event.data.reason ?? "");
}
console.log(data.id, data.state);
