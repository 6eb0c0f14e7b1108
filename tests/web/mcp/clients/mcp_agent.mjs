// What an agent does with the official TypeScript client of MCP; prints what it saw as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const headers = { "x-api-key": process.env.CLIPBELL_KEY };
const url = new URL(process.env.CLIPBELL_URL + "/mcp");
const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
const call = async (name, args) => (await client.callTool({ name, arguments: args })).structuredContent;
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const wish = { model: "kling-2-5-turbo-pro", input: { prompt: "A fox", duration: 5 } };
let job = await call("create_video", wish);
const first = job.state;
while (!["succeeded", "failed"].includes(job.state)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  job = await call("get_job", { job_id: job.id });
}
await client.close();
console.log(JSON.stringify({ tools, states: [first, job.state], link: job.video.url }));
