// A browser that obeys lines of JSON on standard input ({"op": ..., ...}) and answers each with one on standard output.
// NODE_PATH names the folder with playwright-core; CHROMIUM the browser.
"use strict";
const {chromium} = require("playwright-core");
const readline = require("readline");

let browser, page, problems, hosts;

const operations = {
  async open({url, width, height, dark}) {
    if (page) await page.context().close();
    const context = await browser.newContext({viewport: {width, height}, colorScheme: dark ? "dark" : "light"});
    page = await context.newPage();
    problems = [];
    hosts = new Set();
    page.on("console", message => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
    page.on("pageerror", error => problems.push(String(error)));
    page.on("request", request => hosts.add(new URL(request.url()).host));
    await page.goto(url, {waitUntil: "load"});
  },
  text: ({selector}) => page.locator(selector).first().innerText(),
  visible: ({selector}) => page.locator(selector).first().isVisible(),
  evaluate: ({expression}) => page.evaluate(expression),
  shot: ({path}) => page.screenshot({path, animations: "disabled"}),
  problems: () => problems,
  hosts: () => [...hosts],
};

async function main() {
  browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"]});
  for await (const line of readline.createInterface({input: process.stdin})) {
    const {op, ...options} = JSON.parse(line);
    let answer;
    try {
      answer = {value: await operations[op](options)};
    } catch (error) {
      answer = {error: String(error)};
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await browser.close();
}
main();
