"""The status page in a real browser: the numbers of a running pipeline, charts that move, a pause, a stuck topic, a refused
configuration, a service that is gone; nothing from other hosts, no error on the console; readable on a phone and in the
dark. MORAINE_SCREENSHOT=docs/status-page.png keeps a picture, MORAINE_SCREENSHOT_PHONE one of the phone."""

import json
import os
import signal
import urllib.request

import rig
from broker import Broker
from browser import Browser
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service

TOKEN = "page-token-4711"
PLAIN = {"fields": [{"name": "id", "type": "long", "nullable": False}, {"name": "v", "type": "string"}]}


def number(text):
    return int(text.replace(",", ""))


def part(topic, name):
    return f"#topic-{topic} [data-is={name}]"


def post(service, path):
    request = urllib.request.Request(service.url + path, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def status_of(service, name):
    return next(t for t in json.loads(service.get("/status")[1])["topics"] if t["topic"] == name)


def wait_for_text(browser, selector, words, seconds=8):
    shown = ""

    def there():
        nonlocal shown
        shown = browser.text(selector)
        return words in shown

    try:
        rig.wait_until(there, seconds, f"'{words}' in {selector}", 0.2)
    except rig.Failure as error:
        raise rig.Failure(f"{error}; it says '{shown}'") from None


def chart(browser, topic, name):
    """The points that a chart shows."""
    return browser.evaluate(f"Chart.getChart(document.querySelector('{part(topic, 'chart-' + name)}')).data.datasets[0].data")


with Scenario("page") as scenario:
    browser = Browser(scenario)
    broker = Broker(scenario)
    service = Service(scenario, broker)
    service.settings["http"]["token"] = TOKEN
    orders = OrderTopic(scenario, broker, service, "orders", 90_000, partitions=4, commit={"interval": "1s"})
    broker.create_topic("clicks", 2)
    service.topic("clicks", PLAIN, {"format": "json"}, commit={"interval": "1s"})
    lines = scenario.folder / "lines"
    lines.write_text("\n".join(json.dumps({"id": i, "v": "x"}) for i in range(4000)) + "\n")
    broker.produce_lines("clicks", lines, 2)
    orders.produce(10_000)
    service.start()
    producer = orders.produce_slowly(2500)
    rig.wait_until(lambda: orders.table.exists(), 30, "the table")

    say("numbers of a running pipeline")
    browser.open(service.url)
    wait_for_text(browser, "#ready", "ready", 20)
    wait_for_text(browser, part("orders", "state"), "running")
    expect(browser.text("#instance") == "moraine", "the instance is not named")
    expect("MiB" in browser.text("#memory-text"), browser.text("#memory-text"))
    wait_for_text(browser, part("orders", "rate"), "/s")
    rig.wait_until(lambda: number(browser.text(part("orders", "rate")).removesuffix("/s").replace("–", "0")) > 500, 20, "a rate")
    before = chart(browser, "orders", "rate")
    first = number(browser.evaluate(f"document.querySelector('{part('orders', 'outcomes')} li:nth-child(2) b').textContent"))
    rig.wait_until(lambda: len(chart(browser, "orders", "rate")) >= len(before) + 3, 15, "the chart to move")
    after = chart(browser, "orders", "rate")
    expect(after[-1]["x"] > before[-1]["x"] and any(p["y"] for p in after), f"the chart did not move: {after[-3:]}")
    later = number(browser.evaluate(f"document.querySelector('{part('orders', 'outcomes')} li:nth-child(2) b').textContent"))
    expect(later > first, f"updated rows stay at {first}")
    wait_for_text(browser, part("orders", "commit"), "ago")
    wait_for_text(browser, part("orders", "fresh"), " s")

    say("a pause is followed, and its end")
    expect(post(service, "/topics/orders/pause") == 202, "pause was not taken")
    wait_for_text(browser, part("orders", "state"), "paused")
    wait_for_text(browser, part("orders", "doing"), "operator")
    rig.wait_until(lambda: number(browser.text(part("orders", "lag"))) > 2000, 20, "lag on the page")
    expect(post(service, "/topics/orders/resume") == 202, "resume was not taken")
    wait_for_text(browser, part("orders", "state"), "running")

    say("a stuck topic, in words")
    bad = scenario.folder / "bad"
    bad.write_text("{rubbish\n" * 5000)
    broker.produce_lines("clicks", bad, 2)
    wait_for_text(browser, part("clicks", "state"), "stuck", 12)
    wait_for_text(browser, "#ready", "not ready")
    words = browser.text("#problems")
    expect("clicks: step 'decode' puts most records aside" in words and "since 20" in words, words)
    expect("not readable" in browser.text(part("clicks", "dead-sub")), browser.text(part("clicks", "dead-sub")))
    expect(browser.evaluate("document.title").startswith("⚠"), "the title does not warn")
    expect("moraine dead-letters" in browser.text(part("clicks", "hint")), "nothing says what to do about it")
    expect(not browser.do("visible", selector=part("orders", "hint")), "advice on a topic that runs")
    if os.environ.get("MORAINE_SCREENSHOT"):
        browser.do("shot", path=os.environ["MORAINE_SCREENSHOT"])
    lines.write_text("\n".join(json.dumps({"id": i, "v": "y"}) for i in range(20_000)) + "\n")
    broker.produce_lines("clicks", lines, 2)
    wait_for_text(browser, part("clicks", "state"), "running", 15)
    rig.wait_until(lambda: browser.text("#problems") == "", 10, "the problem to be gone")

    say("a refused configuration")
    service.config.write_text("memroy: 1GiB\n")
    service.process.child.send_signal(signal.SIGHUP)
    wait_for_text(browser, "#problems", "memroy")
    rig.write_json(service.config, service.settings)
    service.process.child.send_signal(signal.SIGHUP)
    rig.wait_until(lambda: browser.text("#problems") == "", 10, "the refused configuration to be gone")

    say("everything that was sent")
    expect(producer.child.wait(120) == 0, "the producer failed")
    service.wait_for(orders.table, orders.offsets(), 60)
    wait_for_text(browser, part("orders", "lag-sub"), "caught up")
    rows = status_of(service, "orders")["rows"]
    for index, name in enumerate(["inserted", "updated", "deleted"]):
        shown = number(browser.evaluate(f"document.querySelector('{part('orders', 'outcomes')} li:nth-child({index + 1}) b').textContent"))
        expect(shown == rows[name], f"{name}: the page shows {shown}, the service says {rows[name]}")
    expect(number(browser.text(part("orders", "dead"))) == rows["dead"] == len(orders.expected_broken()), "dead letters differ")
    expect(browser.do("visible", selector=part("orders", "lateness")), "no lateness, although orders come late")
    expect(browser.do("problems") == [], f"the console says {browser.do('problems')}")
    expect(browser.do("hosts") == [service.url.removeprefix("http://")], f"asked of {browser.do('hosts')}")
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor")

    say("a phone in the dark")
    browser.open(service.url, width=360, height=740, dark=True)
    wait_for_text(browser, part("orders", "state"), "running", 10)
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    expect(dark != light, f"the same colour by day and night: {dark}")
    width = browser.evaluate("document.scrollingElement.scrollWidth")
    expect(width <= 360, f"the page is {width} wide on a screen of 360")
    small = browser.evaluate("Math.min(...[...document.querySelectorAll('dd, p, li')].map(e => parseFloat(getComputedStyle(e).fontSize)))")
    expect(small >= 11, f"letters of {small} px")
    if os.environ.get("MORAINE_SCREENSHOT_PHONE"):
        browser.do("shot", path=os.environ["MORAINE_SCREENSHOT_PHONE"])

    say("a service that is gone")
    service.stop()
    wait_for_text(browser, "#silence", "No answer from the service", 10)
