// Makes a video and a remix of it; prints what it saw as JSON.
import OpenAI from "openai";

const client = new OpenAI();
async function end(video) {
  while (["queued", "in_progress"].includes(video.status)) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    video = await client.videos.retrieve(video.id);
  }
  return video;
}
const source = await end(await client.videos.create({ model: "own", prompt: "A fox" }));
const made = await end(await client.videos.remix(source.id, { prompt: "A hare" }));
const wrong = { prompt: "A hare", seconds: "8" };
const refused = await client.videos.remix(source.id, wrong).catch((error) => error);
console.log(
  JSON.stringify({
    last: made.status,
    source: made.remixed_from_video_id === source.id,
    refused: [refused.status, refused.code],
  }),
);
