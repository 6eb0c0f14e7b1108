// All that the openai library of npm does with videos; prints what it saw as JSON.
import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI();
const model = "kling-2-5-turbo-pro";
const image = fs.createReadStream(process.argv[2]);
let video = await client.videos.create({ model, prompt: "A fox", seconds: "5", input_reference: image });
const first = video.status;
while (["queued", "in_progress"].includes(video.status)) {
  const { data, response } = await client.videos.retrieve(video.id).withResponse();
  video = data;
  const wait = response.headers.get("openai-poll-after-ms");
  if (wait) await new Promise((resolve) => setTimeout(resolve, Number(wait) / 5));
}
const content = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
const thumbnail = await client.videos.downloadContent(video.id, { variant: "thumbnail" });
const listed = [];
for await (const one of client.videos.list({ limit: 1 })) listed.push(one.id);
const refused = await client.videos.create({ model, prompt: "A fox", seconds: "4" }).catch((e) => e);
const deleted = await client.videos.delete(video.id);
const gone = await client.videos.retrieve(video.id).catch((e) => e);
console.log(
  JSON.stringify({
    first,
    last: video.status,
    brand: content.subarray(4, 8).toString(),
    thumbnail: thumbnail.headers.get("content-type"),
    listed: listed.includes(video.id),
    refused: [refused.status, refused.param],
    deleted: deleted.deleted,
    gone: gone.status,
  }),
);
