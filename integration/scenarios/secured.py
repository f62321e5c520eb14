"""A listener with TLS and SASL/PLAIN: librdkafka's own settings pass straight through; the password comes from a
file and appears nowhere."""

import broker as broker_module
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect
from service import Service, check_ledger

with Scenario("secured") as scenario:
    broker = Broker(scenario, secured=True)
    secret = scenario.folder / "password"
    secret.write_text(broker_module.PASSWORD)
    settings = {**broker.secured_client(), "sasl.password": "${file:%s}" % secret}
    service = Service(scenario, kafka=settings)
    topic = OrderTopic(scenario, broker, service, "orders", 20_000)
    topic.produce()
    service.start()
    service.wait_for(topic.table, topic.offsets(), 60)
    status, text = service.get("/status")
    expect(status == 200, f"/status answers {status}")
    expect(broker_module.PASSWORD not in text, "the password is on the status page")
    service.stop()
    expect(broker_module.PASSWORD not in service.log_since(0), "the password is in the log")
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_quick()

    service.settings["kafka"] = {**settings, "sasl.password": "wrong"}
    position = service.log_size()
    service.start()
    service.wait_for_words(position, ["auth"], 60)
    expect("wrong" not in service.log_since(position).replace("wrong password", ""), "the wrong password is in the log")
    service.process.stop(seconds=60)
