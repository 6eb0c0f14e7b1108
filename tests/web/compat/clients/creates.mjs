// So many creates, some at once; prints the videos' ids as JSON.
import OpenAI from "openai";

const client = new OpenAI();
const count = Number(process.argv[2]);
const ids = [];
let next = 0;
async function work() {
  while (next < count) {
    const number = next++;
    const prompt = `Fox ${number}`;
    ids.push((await client.videos.create({ model: "kling-2", prompt })).id);
  }
}
await Promise.all(Array.from({ length: 16 }, work));
console.log(JSON.stringify(ids));
