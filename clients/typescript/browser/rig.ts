// What the test of the browser needs beside the service: the gateway, two web servers and a browser. All of it is real.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

/** A web server with the page; its origin. */
export async function servePage(): Promise<{ origin: string; close: () => void }> {
  const options = { bundle: true, format: "esm", write: false, minify: true } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [join(here, "page.ts")] });
  const html = await readFile(join(here, "index.html"));
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? outputFiles[0]?.contents : html);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

/** Envoy with gateway/envoy.yaml before the service; pages of this origin may call. */
export async function startGateway(service: string, origin: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "gateway-"));
  const descriptor = join(folder, "descriptor.bin");
  await run("buf", ["build", "--as-file-descriptor-set", "--output", descriptor]);
  const port = await freePort();
  let text = await readFile(join(repository, "gateway/envoy.yaml"), "utf8");
  for (const [was, is] of [
    ["port_value: 8080", `port_value: ${port}`],
    ["port_value: 50051", `port_value: ${service.split(":")[1]}`],
    ["proto_descriptor: descriptor.bin", `proto_descriptor: ${descriptor}`],
    ["exact: http://127.0.0.1:8081", `exact: ${origin}`],
  ] as const) {
    if (text.split(was).length !== 2) throw new Error(`gateway/envoy.yaml does not say "${was}" once`);
    text = text.replace(was, is);
  }
  const configuration = join(folder, "envoy.yaml");
  await writeFile(configuration, text);
  const options = ["--disable-hot-restart", "--log-level", "warn", "--config-path", configuration];
  const envoy = spawn("envoy", options, { cwd: repository, stdio: ["ignore", "inherit", "inherit"] });
  const ended = once(envoy, "exit");
  const stop = async () => {
    envoy.kill();
    await ended;
    await rm(folder, { recursive: true });
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await until(() => answers(url));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

export const launchBrowser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // as root, and without calls of its own
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

/** Whether the gateway has found the service: it refuses who has no token, and says 503 before. */
async function answers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/accounts/me`).catch(() => undefined);
  return answer?.status === 401;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await setTimeout(100)) if (await condition()) return;
  throw new Error("the gateway does not come up");
}

async function run(program: string, options: string[]): Promise<void> {
  const [code] = await once(spawn(program, options, { cwd: repository, stdio: "inherit" }), "exit");
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}

async function freePort(): Promise<number> {
  const socket = createSocket().listen(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
}
